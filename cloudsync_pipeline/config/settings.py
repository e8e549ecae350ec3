"""The main file: what holds for the whole fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.fields import (
    Address,
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
)
from cloudsync_pipeline.config.integration import PolicyConfig, SyncConfig


class DatabaseSettings(Section):
    """Where state is kept."""

    path: StateFolder = Field(Path("state"), description="the folder where state is kept")
    url: Secret | None = Field(
        None, description="the control database's address, like postgresql+psycopg2://user:password@host/name"
    )
    backup_enabled: bool = Field(False, description="false: backups are not part of this release")
    backup_interval: Seconds = Field(86_400, description="how often a backup is made, once there are any")

    @field_validator("backup_enabled")
    @classmethod
    def _no_backups(cls, value: bool) -> bool:
        # Whoever asks for backups must not believe that there are some.
        if value:
            raise PydanticCustomError(
                "backups",
                "false: backups are not part of this release; copy the state folder while nothing runs, "
                "and set this to false",
            )
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
    """How file managers are called by integrations that do not say otherwise."""

    endpoints: EndpointSettings = Field(default_factory=EndpointSettings, description="addresses")
    timeout: Seconds = Field(30, description="how long one answer may take")
    retry_attempts: int = Field(3, ge=1, le=20, description="tries of one operation within a run")


class SecretsSettings(Section):
    """Where `${secret:NAME}` is looked up."""

    type: Literal["files"] = Field("files", description="the kind of secrets backend")
    folder: Place = Field(Path("/run/secrets"), description="a folder with one file a secret")


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
    logging: LoggingSettings = Field(default_factory=LoggingSettings, description="what is logged")
    api: ApiSettings = Field(default_factory=ApiSettings, description="how file managers are called")
    secrets: SecretsSettings = Field(default_factory=SecretsSettings, description="where secrets are looked up")
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
