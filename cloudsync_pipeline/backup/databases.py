"""Databases that many processes share: the fleet's control database, and Dagster's own storage."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cloudsync_pipeline import wiring
from cloudsync_pipeline.backup import files, manifest, postgres, shelf
from cloudsync_pipeline.backup.files import translated
from cloudsync_pipeline.backup.shelf import Backup
from cloudsync_pipeline.core.errors import StateError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Settings

CONTROL = "control"
DAGSTER = "dagster"


@dataclass(frozen=True, slots=True)
class SqliteFiles:
    """Databases in files below a folder; `folders` are those of its folders that hold nothing else."""

    root: Path
    folders: Sequence[str]

    def databases(self) -> list[Path]:
        """Every database there is."""
        return sorted(file for one in self.folders for file in (self.root / one).rglob("*.db"))


@dataclass(frozen=True, slots=True)
class PostgresTables:
    """Tables by name in a database by URL."""

    url: str
    tables: Sequence[str]


Storage = SqliteFiles | PostgresTables


def is_ours(settings: Settings, storage: Storage) -> bool:
    """Whether it is backed up here; what is in PostgreSQL may have backups of its own (`database.backup_postgres`)."""
    return settings.database.backup_postgres or isinstance(storage, SqliteFiles)


def control_storage(settings: Settings) -> Storage:
    """Where the control database is."""
    url = sa.make_url(settings.control_url())
    if url.get_backend_name() == "sqlite":
        return SqliteFiles(Path(str(url.database)).parent, ())
    return PostgresTables(settings.control_url(), _control_tables())


def back_up_control(settings: Settings, *, full: bool = False) -> Backup:
    """Back the control database up, beside whoever uses it.

    Raises:
        StateError, StorageFull: see `files`, `postgres`.
    """
    # Opened once, so that it is there, and of a schema that this release knows.
    with wiring.open_control(settings):
        pass
    root, now, storage = settings.database.backup_path, datetime.now(UTC), control_storage(settings)
    if isinstance(storage, PostgresTables):
        _dump(root, CONTROL, storage, now)
    else:
        with shelf.making(root, CONTROL, "sqlite", now=now, facts={}, full=full) as making:
            making.add_sqlite(Path(str(sa.make_url(settings.control_url()).database)), "control.db")
    return shelf.find(root, CONTROL)


def restore_control(settings: Settings, *, at: datetime | None = None) -> Backup:
    """Put the control database back; every integration is then due for a full scan, as its inbox is an old one.

    Raises:
        StateError: there is no such backup, or it is not whole; nothing was changed.
        SchemaTooNew: a newer release made it.
    """
    backup = shelf.find(settings.database.backup_path, CONTROL, at=at)
    held = manifest.check(backup.folder)
    url = sa.make_url(settings.control_url())
    _same_kind(held.kind, "sqlite" if url.get_backend_name() == "sqlite" else "postgres", backup)
    with translated("restoring the control database"):
        if held.kind == "sqlite":
            _into_live(backup.folder / "control.db", Path(str(url.database)))
        else:
            postgres.restore(settings.control_url(), backup.folder / postgres.DUMP)
    with wiring.open_control(settings) as control:
        for one in control.list():
            control.request_scan(one.name, f"the control database was restored from {held.made_at:%Y-%m-%d %H:%M} UTC")
    return backup


def back_up_dagster(settings: Settings, storage: Storage, *, full: bool = False) -> Backup:
    """Back Dagster's runs, events, schedules and sensors up, beside whoever uses them."""
    root, now = settings.database.backup_path, datetime.now(UTC)
    if isinstance(storage, PostgresTables):
        _dump(root, DAGSTER, storage, now)
    else:
        with shelf.making(root, DAGSTER, "sqlite", now=now, facts={}, full=full) as making:
            for file in storage.databases():
                try:
                    # Of thousands of runs, each with a file of its own, few have changed.
                    making.add_sqlite(file, str(file.relative_to(storage.root)), changed=_changed(file))
                except FileNotFoundError:  # A run that was deleted meanwhile.
                    continue
    return shelf.find(root, DAGSTER)


def restore_dagster(settings: Settings, storage: Storage, *, at: datetime | None = None) -> Backup:
    """Put Dagster's storage back. Nothing of Dagster's may be running.

    Raises:
        StateError: there is no such backup, or it is not whole; nothing was changed.
    """
    backup = shelf.find(settings.database.backup_path, DAGSTER, at=at)
    held = manifest.check(backup.folder)
    _same_kind(held.kind, "postgres" if isinstance(storage, PostgresTables) else "sqlite", backup)
    with translated("restoring Dagster's storage"):
        if isinstance(storage, PostgresTables):
            postgres.restore(storage.url, backup.folder / postgres.DUMP)
        else:
            _replace_files(backup.folder, held, storage)
    return backup


def _replace_files(source: Path, held: manifest.Manifest, storage: SqliteFiles) -> None:
    new = storage.root / ".restored"
    shutil.rmtree(new, ignore_errors=True)
    for path in held.files:
        files.copy(source / path, new / path)
    old = storage.root / f"before-restore-{datetime.now(UTC):{shelf.STAMP}}"
    old.mkdir()
    for one in storage.folders:
        if (storage.root / one).exists():
            (storage.root / one).rename(old / one)
        if (new / one).exists():
            (new / one).rename(storage.root / one)
    files.make_durable(storage.root)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old)


def _into_live(source: Path, live: Path) -> None:
    """Write a database over one that others have open: they see all of it or nothing."""
    live.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(live, timeout=30)) as here:
            there.backup(here)
    except sqlite3.Error as error:
        raise StateError(
            f"The database {live} cannot be written over: {error}.", remedy="Stop what uses it, and try again."
        ) from error


def _dump(root: Path, part: str, storage: PostgresTables, now: datetime) -> None:
    with shelf.making(root, part, "postgres", now=now, facts={"tables": list(storage.tables)}) as making:
        postgres.dump(storage.url, storage.tables, making.folder / postgres.DUMP)
        making.note(postgres.DUMP)


def _control_tables() -> list[str]:
    from cloudsync_pipeline.control.tables import metadata

    return sorted(metadata.tables)


def _same_kind(kind: str, now: str, backup: Backup) -> None:
    if kind != now:
        raise StateError(
            f"The backup {backup.folder} is of a {kind} database, and this one is {now}.",
            remedy="Configure the database as it was when the backup was made.",
        )


def _changed(file: Path) -> int:
    """When a database was last written to, its write-ahead log included."""
    log = file.with_name(f"{file.name}-wal")
    return max(one.stat().st_mtime_ns for one in (file, log) if one.exists())
