"""One integration's file: a storage, a file manager, perhaps a feed, and how they are kept in step."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.ends import (
    FeedConfig,
    FileManagerConfig,
    HttpConnection,
    LocalFileManager,
    LocalStorage,
    StorageConfig,
)
from cloudsync_pipeline.config.fields import Bytes, DestinationPrefix, Seconds, Section, parse_duration
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.core.names import check_name
from cloudsync_pipeline.core.rules import DeletePolicy, Policy

_INTERVAL = 300
_DAY = 86_400
_FEED_INHERITS = (
    "auth",
    "ca_file",
    "client_certificate",
    "client_key",
    "verify_tls",
    "connect_timeout",
    "read_timeout",
    "timeout",
)


class SyncConfig(Section):
    """When a sync runs and how much it does at once. Durations are seconds."""

    interval: Seconds = Field(_INTERVAL, description="time between two syncs")
    reconcile_interval: Seconds = Field(
        _DAY, description="time between two full scans; without a feed, the interval, as every sync is one"
    )
    initial_sync_on_startup: bool = Field(True, description="whether a new integration is synced without being asked")
    transfers: int = Field(16, ge=1, le=1024, description="operations in flight at once")
    max_bytes_in_flight: Bytes = Field(64 * 2**20, description="content buffered at once, over all transfers")
    retry_attempts: int = Field(3, ge=1, le=20, description="tries of one operation within a run")
    events_per_run: int = Field(10_000, ge=1, description="most events that one sync takes from the feed")


class PolicyConfig(Section):
    """What may be done to the customer's files."""

    deletes: DeletePolicy = Field(DeletePolicy.PROPAGATE, description="what a vanished object means for its file")
    max_delete_ratio: float = Field(
        0.5, ge=0, le=1, description="the part of the files that may be deleted within 24 h, 0 to 1"
    )
    min_deletes: int = Field(20, ge=1, description="so many deletes are needed before the ratio is looked at")
    quarantine_after: int = Field(5, ge=1, description="runs in which a path must fail to be quarantined")
    read_permissions: bool = Field(True, description="whether permissions of created files are read")


class IntegrationConfig(Section):
    """One integration, complete."""

    name: str = Field(description="the integration's name")
    storage: StorageConfig = Field(description="where the objects are, with its `type`")
    file_manager: FileManagerConfig = Field(description="where the files shall be, with its `type`")
    feed: FeedConfig | None = Field(None, description="where changes are announced, with its `type`")
    sync: SyncConfig = Field(default_factory=SyncConfig, description="when and how much is synced")
    policy: PolicyConfig = Field(default_factory=PolicyConfig, description="what may be done to the files")
    destination_prefix: DestinationPrefix = Field(
        description='the folder of the file manager that is this integration\'s alone; "" for all of it'
    )
    owner: str | None = Field(None, description="who answers for this integration")
    tags: dict[str, str] = Field(default_factory=dict, description="labels and their texts")

    @property
    def fingerprint(self) -> str:
        """Equal for configurations that mean the same; secrets do not show in it, and do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def rules(self) -> Policy:
        """The policy as the engine takes it."""
        return Policy(
            deletes=self.policy.deletes,
            max_delete_ratio=self.policy.max_delete_ratio,
            min_deletes=self.policy.min_deletes,
            quarantine_after=self.policy.quarantine_after,
            read_permissions=self.policy.read_permissions,
            transfers=self.sync.transfers,
            max_bytes_in_flight=self.sync.max_bytes_in_flight,
            retry_attempts=self.sync.retry_attempts,
            events_per_run=self.sync.events_per_run,
        )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, document: Any) -> Any:
        """Defaults that depend on other keys."""
        if not isinstance(document, dict):
            return document
        filled = dict(document)
        if "name" in filled:
            filled.setdefault("destination_prefix", filled["name"])
        sync = filled.get("sync", {})
        if not filled.get("feed") and isinstance(sync, dict) and "reconcile_interval" not in sync:
            interval = parse_duration(sync.get("interval", _INTERVAL))
            filled["sync"] = {**sync, "reconcile_interval": interval} if interval else sync
        feed, file_manager = filled.get("feed"), filled.get("file_manager")
        if isinstance(feed, dict) and isinstance(file_manager, dict):
            filled["feed"] = _feed_beside(file_manager, feed)
        return filled

    @field_validator("name")
    @classmethod
    def _nameable(cls, value: str) -> str:
        try:
            return check_name(value)
        except ConfigError as error:
            raise PydanticCustomError("name", "a name of 1 to 63 lower-case letters, digits, `-` and `_`") from error

    @model_validator(mode="after")
    def _no_loop(self) -> IntegrationConfig:
        if isinstance(self.storage, LocalStorage) and isinstance(self.file_manager, LocalFileManager):
            source = self.storage.path.resolve()
            target = (self.file_manager.path / self.destination_prefix).resolve()
            if source.is_relative_to(target) or target.is_relative_to(source):
                raise PydanticCustomError(
                    "loop", "storage and file manager to be folders apart: one lies in the other, or both are the same"
                )
        return self


def _feed_beside(file_manager: dict[str, Any], feed: dict[str, Any]) -> dict[str, Any]:
    """An HTTP feed is the file manager's own unless it says otherwise; a login goes to no other server."""
    if feed.get("type") != "http" or file_manager.get("type") != "http_api":
        return feed
    filled = dict(feed)
    url = filled.setdefault("url", file_manager.get("url"))
    if url is None:
        del filled["url"]
    elif _origin(url) == _origin(file_manager.get("url")):
        for key in HttpConnection.model_fields:
            if key in file_manager:
                filled.setdefault(key, file_manager[key])
    return filled


def _origin(url: object) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(str(url))
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
