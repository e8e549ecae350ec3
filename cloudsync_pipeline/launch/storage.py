"""Where a Dagster instance keeps what it knows, as its backup must know it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync_pipeline.backup.databases import PostgresTables, SqliteFiles
from cloudsync_pipeline.core.errors import ConfigError, StateError

if TYPE_CHECKING:
    from dagster import DagsterInstance

_FOLDERS = ("history", "schedules")
HEARTBEATS_SECONDS = 60
"""A daemon tells twice in that time that it is alive."""


def storage_of(instance: DagsterInstance) -> SqliteFiles | PostgresTables:
    """The storage of an instance: SQLite below its home, or PostgreSQL.

    Raises:
        ConfigError: it is of another kind.
    """
    url = getattr(instance.event_log_storage, "postgres_url", None)
    if url is not None:
        return PostgresTables(str(url), _tables())
    root = Path(instance.root_directory)
    if not (root / "history").is_dir():
        raise ConfigError(
            f"The Dagster instance {root} keeps its runs neither there nor in PostgreSQL.",
            remedy="Back its storage up with its own tools.",
        )
    return SqliteFiles(root, _FOLDERS)


def require_stopped(instance: DagsterInstance) -> None:
    """Make sure that no daemon works for an instance whose storage is about to be replaced.

    Raises:
        StateError: one does.
    """
    # Not Dagster's own verdict, which believes a daemon alive for half an hour after its end.
    oldest = time.time() - HEARTBEATS_SECONDS
    alive = [name for name, one in instance.get_daemon_heartbeats().items() if one.timestamp > oldest]
    if alive:
        raise StateError(
            f"A Dagster daemon works for this instance, or did so a minute ago ({', '.join(sorted(alive))}).",
            remedy="Stop the daemon and the web server, wait a minute, and try again.",
        )


def _tables() -> list[str]:
    from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
    from dagster._core.storage.runs.schema import RunStorageSqlMetadata
    from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

    every = (SqlEventLogStorageMetadata, RunStorageSqlMetadata, ScheduleStorageSqlMetadata)
    return sorted({table for one in every for table in one.tables} | {"alembic_version"})
