"""The main file: what holds for the whole fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.alerting import AlertSettings
from cloudsync_pipeline.config.deferred import Deferred
from cloudsync_pipeline.config.fields import (
    Address,
    BrokerAddress,
    Bytes,
    LogLevel,
    Place,
    Retention,
    RetentionRule,
    Rotation,
    RotationRule,
    Seconds,
    Secret,
    SecretAddress,
    Section,
    StateFolder,
    at_least,
)
from cloudsync_pipeline.config.integration import PolicyConfig, SyncConfig
from cloudsync_pipeline.config.keys import ApiKeys
from cloudsync_pipeline.config.lakes import LakesSettings, is_postgres

_QUEUE_NAME = r"^[A-Za-z0-9_.:-]{1,200}$"


class DatabaseSettings(Section):
    """Where state is kept."""

    path: StateFolder = Field(Path("state"), description="the folder where state is kept")
    url: Secret | None = Field(
        None, description="the control database's address, like postgresql+psycopg2://user:password@host/name"
    )
    lakes: LakesSettings | None = Field(
        None, description="where the integrations' lakes are, for fleets on several machines; none for the state folder"
    )
    memory_limit: Bytes = Field(
        512_000_000,
        ge=128_000_000,
        description="what DuckDB may take of memory for one lake; in large scans a process takes 300 to 600 MB more",
    )
    backup_enabled: bool = Field(False, description="whether backups are made by themselves, at their interval")
    backup_interval: Seconds = Field(86_400, description="how old the newest backup may be before another one is made")
    backup_postgres: bool = Field(
        True,
        description="whether databases in PostgreSQL are dumped, too, which takes pg_dump; false where the server has "
        "backups of its own",
    )
    backup_path: Place = Field(Path("backups"), description="the folder for backups; another disk than the state's")
    backup_retention: RetentionRule = Field(
        Retention(files=7), description="which backups are kept of each integration"
    )

    @model_validator(mode="after")
    def _shared_lakes_have_shared_locks(self) -> DatabaseSettings:
        known = self.url is not None and (isinstance(self.url, Deferred) or is_postgres(self.url.get_secret_value()))
        if self.lakes is not None and not known:
            raise PydanticCustomError(
                "shared_lakes",
                "`url` with PostgreSQL's address beside `lakes`: locks among machines are kept in the control database",
            )
        return self

    @model_validator(mode="after")
    def _lakes_in_a_cluster_have_its_backups(self) -> DatabaseSettings:
        # Whoever asks for backups must not believe that there are some.
        if self.lakes is not None and self.backup_enabled:
            raise PydanticCustomError(
                "cluster_backups",
                "`backup_enabled: false` beside `lakes`: lakes in PostgreSQL and a bucket are backed up "
                "with these (pg_dump, the bucket's versions; docs/operations.md has the steps)",
            )
        return self


class RetentionSettings(Section):
    """How long what is remembered is kept. Maintenance forgets it afterwards."""

    snapshots: Annotated[Seconds, AfterValidator(at_least("1d"))] = Field(
        14 * 86_400, description="old states of the tables, for `--as-of`; 1 day at least"
    )
    events: Seconds = Field(30 * 86_400, description="events as they were received")
    event_identities: Seconds = Field(
        90 * 86_400, description="what tells an event that comes again; at least as long as the events"
    )
    history: Annotated[Seconds, AfterValidator(at_least("2d"))] = Field(
        90 * 86_400, description="runs, their steps, plans, operations and outcomes; 2 days at least"
    )
    dagster_runs: Annotated[Seconds, AfterValidator(at_least("1d"))] = Field(
        30 * 86_400,
        description="finished runs in Dagster, with their logs; those that show a partition's newest state stay",
    )

    @field_validator("event_identities")
    @classmethod
    def _outlive_events(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("events", 0):
            raise PydanticCustomError("identities", "a duration at least as long as that of `events`")
        return value


class LoggingSettings(Section):
    """What is logged, and where to."""

    level: LogLevel = Field("INFO", description="the least level that is logged")
    file: Place | None = Field(None, description="a file to log to, besides standard error")
    rotation: RotationRule = Field(Rotation(bytes=10_000_000), description="when a new log file is begun")
    retention: RetentionRule = Field(Retention(files=7), description="which closed log files are kept")
    format: Literal["text", "json"] = Field("text", description="how a line looks")


class EndpointSettings(Section):
    """Addresses for integrations that give none of their own."""

    file_manager: Address | None = Field(None, description="the file manager's address")
    reporting: SecretAddress | None = Field(None, description="where results are reported, if not to the file manager")


class ApiSettings(Section):
    """How file managers are called by integrations that do not say otherwise, and who may call our own API."""

    endpoints: EndpointSettings = Field(default_factory=EndpointSettings, description="addresses")
    timeout: Seconds = Field(30, description="how long one answer may take")
    retry_attempts: int = Field(3, ge=1, le=20, description="tries of one operation within a run")
    keys: ApiKeys = Field(default_factory=list, description="a list of keys with name, hash and scopes")
    requests_per_second: float = Field(20, gt=0, description="requests that a key, or an address, may send on average")
    burst: int = Field(100, ge=1, description="requests that a key, or an address, may send at once")
    max_body: Bytes = Field(1_048_576, description="how large the body of a request may be")


class SecretsSettings(Section):
    """Where `${secret:NAME}` is looked up."""

    type: Literal["files", "aws"] = Field("files", description="the kind of secrets backend")
    folder: Place = Field(Path("/run/secrets"), description="of files: a folder with one file a secret")
    region: str | None = Field(None, min_length=1, description="of aws: the region; by default, the machine's")
    endpoint: Address | None = Field(None, description="of aws: the service's address, if not Amazon's own")
    prefix: str = Field("", max_length=256, description="of aws: what every secret's name begins with")
    ttl: Seconds = Field(300, description="of aws: how long a secret is not asked for again")

    @model_validator(mode="after")
    def _of_its_type(self) -> SecretsSettings:
        others = {"region", "endpoint", "prefix", "ttl"} if self.type == "files" else {"folder"}
        if given := sorted(others & self.model_fields_set):
            kind = "aws" if self.type == "files" else "files"
            raise PydanticCustomError("secrets", f"`type: {kind}` beside `{given[0]}`")
        return self


class QueueSettings(Section):
    """The RabbitMQ queue from which `cloudsync consume` takes requests."""

    url: BrokerAddress = Field(description="the broker's address, like amqp://user:password@host:5672/vhost")
    name: str = Field("sync_requests", pattern=_QUEUE_NAME, description="the queue's name")
    dead_letters: str | None = Field(
        None, pattern=_QUEUE_NAME, description="the queue of refused messages; by default, the name with `.dead`"
    )
    type: Literal["classic", "quorum"] = Field("classic", description="the kind of queue, where it is not there yet")
    prefetch: int = Field(8, ge=1, le=1000, description="messages taken at once")
    ca_file: Place | None = Field(None, description="a file of certificates to trust, for amqps")


class Defaults(Section):
    """What integrations inherit. Sections whose meaning depends on their `type` are checked once merged."""

    storage: dict[str, Any] = Field(default_factory=dict, description="the storage's keys")
    file_manager: dict[str, Any] = Field(default_factory=dict, description="the file manager's keys")
    feed: dict[str, Any] = Field(default_factory=dict, description="the event feed's keys")
    sync: SyncConfig = Field(default_factory=SyncConfig, description="the keys of `sync`")
    policy: PolicyConfig = Field(default_factory=PolicyConfig, description="the keys of `policy`")
    owner: str | None = Field(None, description="who answers for an integration")
    tags: dict[str, str] = Field(default_factory=dict, description="labels and their texts")


class Settings(Section):
    """The main file."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="where state is kept")
    retention: RetentionSettings = Field(default_factory=RetentionSettings, description="how long what is kept")
    logging: LoggingSettings = Field(default_factory=LoggingSettings, description="what is logged")
    api: ApiSettings = Field(default_factory=ApiSettings, description="how file managers and our API are called")
    secrets: SecretsSettings = Field(default_factory=SecretsSettings, description="where secrets are looked up")
    queue: QueueSettings | None = Field(None, description="where requests for syncs come from, besides commands")
    alerts: AlertSettings | None = Field(None, description="whom to tell of integrations that are not well")
    defaults: Defaults = Field(default_factory=Defaults, description="what integrations inherit")
    integrations_folder: Place = Field(Path("integrations"), description="the folder with one file an integration")

    @property
    def state_folder(self) -> Path:
        return self.database.path

    def integration_folder(self, name: str) -> Path:
        """Where the lake and the staged listings of one integration are."""
        return self.state_folder / "integrations" / name

    def control_url(self) -> str:
        """The control database as an SQLAlchemy URL. It may hold a password: for connecting, never for showing."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.state_folder / 'control.db'}"
