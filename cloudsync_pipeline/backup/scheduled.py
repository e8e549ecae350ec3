"""Backups that are made by themselves, where the configuration asks for them and the newest one is too old."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudsync_pipeline.backup import databases, lakes, shelf
from cloudsync_pipeline.backup.databases import Storage
from cloudsync_pipeline.backup.lakes import Made
from cloudsync_pipeline.backup.shelf import Backup

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Settings


def wanted(settings: Settings, part: str, now: datetime) -> bool:
    """Whether a backup of a part is due."""
    database = settings.database
    return database.backup_enabled and shelf.due(database.backup_path, part, every=database.backup_interval, now=now)


def lake_if_due(settings: Settings, name: str, *, run_id: str) -> Made | None:
    """Back an integration's lake up if that is due, and throw away what is too old.

    Raises:
        LockHeld, StateError, StorageFull: see `lakes.back_up`.
    """
    if not wanted(settings, lakes.part(name), datetime.now(UTC)):
        return None
    made = lakes.back_up(settings, name, run_id=run_id)
    thrown_away(settings, made.backup)
    return made


def databases_if_due(settings: Settings, dagster: Storage | None) -> list[Backup]:
    """Back the control database and Dagster's storage up where that is due; see `lake_if_due`.

    Those in PostgreSQL only with `database.backup_postgres`.
    """
    made = []
    now = datetime.now(UTC)
    if databases.is_ours(settings, databases.control_storage(settings)) and wanted(settings, databases.CONTROL, now):
        made.append(thrown_away(settings, databases.back_up_control(settings)))
    ours = dagster is not None and databases.is_ours(settings, dagster)
    if dagster is not None and ours and wanted(settings, databases.DAGSTER, now):
        made.append(thrown_away(settings, databases.back_up_dagster(settings, dagster)))
    return made


def thrown_away(settings: Settings, made: Backup) -> Backup:
    """A backup that was made, after those of its part that are too old were thrown away."""
    rule = settings.database.backup_retention
    shelf.prune(
        settings.database.backup_path, made.part, keep=rule.files, keep_seconds=rule.seconds, now=datetime.now(UTC)
    )
    return made
