"""A lake's backup, made under its lock; and a lake put back, under the same lock, crash-safe."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync_pipeline import wiring
from cloudsync_pipeline.backup import files, manifest, shelf
from cloudsync_pipeline.backup.files import translated
from cloudsync_pipeline.backup.shelf import Backup
from cloudsync_pipeline.core.errors import StateError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Settings

log = logging.getLogger(__name__)

KIND = "lake"
_PARTS = ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "data", "staging")
"""What belongs to a lake in its folder; a listing staged before a restore knows another history, so it goes, too."""
_NEW = ".restored"
_OLD = ".before-restore"


def part(name: str) -> str:
    """The part under which an integration's backups lie."""
    return f"integrations/{name}"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: how much it holds, and how much of that had to be copied."""

    backup: Backup
    files: int
    bytes: int
    copied: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A lake that was put back, as of `made_at`; `kept` is where its former state lies, if it was to be kept."""

    integration: str
    made_at: datetime
    files: int
    kept: Path | None


def back_up(settings: Settings, name: str, *, run_id: str, full: bool = False) -> Made:
    """Back one integration's lake up, as its only writer: readers go on, other integrations too.

    Args:
        full: copy every file, also those that the backup before holds.

    Raises:
        LockHeld: a writer is at it; the message names it.
        LockLost: another writer came in; there is no backup.
        StateError, StorageFull: the lake is damaged, or the disk.
    """
    from cloudsync_pipeline.lake import copying

    require_files(settings, name)
    root = settings.database.backup_path
    with wiring.open_lake(settings, name, run_id=run_id, purpose="backup", leaves_debts=True) as lake:
        facts = copying.facts(lake)
        with shelf.making(root, part(name), KIND, now=datetime.now(UTC), facts=facts, full=full) as making:
            for source, path in copying.data_files(lake):
                making.add(source, f"{copying.DATA}/{path}")
            files.copy_sqlite(lake.folder / copying.CATALOG_FILE, making.folder / copying.CATALOG_FILE)
            making.note(copying.CATALOG_FILE)
            # Changes nothing, but breaks off where the lock was lost meanwhile: what was copied may then be torn.
            lake.commit(lambda _: None, run_id=run_id, step="backup")
    made = shelf.find(root, part(name))
    log.info("%s: backed up to %s", name, made.folder)
    return Made(made, len(making.held), sum(one.size for one in making.held.values()), making.copied)


def restore(
    settings: Settings, name: str, *, run_id: str, at: datetime | None = None, keep_old: bool = False
) -> Restored:
    """Put an integration's lake back as it was; its next sync is a full scan that asks the file manager first.

    The backup is checked, copied beside the lake, opened and marked there, and only then takes its place. What a
    killed restore left half done is put right by the next one.

    Args:
        at: the newest backup made at or before; the newest of all by default.
        keep_old: leave the former state beside it.

    Raises:
        LockHeld: a writer is at it.
        StateError: there is no such backup, or it is not whole; nothing was changed.
        SchemaTooNew: a newer release made it.
    """
    from cloudsync_pipeline.lake import copying

    require_files(settings, name)
    backup = shelf.find(settings.database.backup_path, part(name), at=at)
    held = manifest.check(backup.folder)
    folder = settings.integration_folder(name)
    new, old = folder / _NEW, folder / _OLD
    with wiring.hold(settings, name, run_id=run_id, purpose="restore") as lock, translated("restoring it", name):
        shutil.rmtree(new, ignore_errors=True)
        for path in held.files:
            files.copy(backup.folder / path, new / path)
        facts = copying.make_ready(new, integration=name, run_id=run_id, backup_at=held.made_at, now=datetime.now(UTC))
        lock.check()
        _change_places(folder, new, old)
        kept = _dispose(old, keep_old)
    _ask_for_a_scan(settings, name, held.made_at)
    log.warning("%s: restored from %s (snapshot %s)", name, backup.folder, facts["snapshot_id"])
    return Restored(name, held.made_at, len(held.files), kept)


def mark(settings: Settings, name: str, *, run_id: str, backup_at: datetime) -> Restored:
    """For a lake that other tools have put back: let its next sync ask the file manager first, as after `restore`.

    Args:
        backup_at: how old its state is now; rather too early than too late.
    """
    from cloudsync_pipeline.lake import restored

    with wiring.open_lake(settings, name, run_id=run_id, purpose="restore") as lake:
        restored.mark(lake, run_id, backup_at=backup_at, now=datetime.now(UTC))
    shutil.rmtree(settings.integration_folder(name) / "staging", ignore_errors=True)
    _ask_for_a_scan(settings, name, backup_at)
    return Restored(name, backup_at, 0, None)


def require_files(settings: Settings, name: str | None = None) -> None:
    """Refuse to copy lakes that are no files of this machine.

    Raises:
        StateError: they are in PostgreSQL and a bucket.
    """
    if settings.database.lakes is not None:
        raise StateError(
            "Lakes that are kept in PostgreSQL and a bucket are not backed up or put back by this command.",
            integration=name,
            remedy="Use pg_dump for the catalogs and versioning of the bucket, and `cloudsync restore --in-place` "
            "after putting them back; docs/operations.md has the steps.",
        )


def _change_places(folder: Path, new: Path, old: Path) -> None:
    """Set the lake aside and put the new one into its place.

    While `old` is there the lake must not be opened: one of the two may have lost its catalog, and a new, empty lake
    would be made in its place.
    """
    old.mkdir(exist_ok=True)
    files.make_durable(folder)
    for one in _PARTS:
        # After a crash in here, what is set aside already is the former state, and what is here is half of the new one.
        if (folder / one).exists():
            if (old / one).exists():
                _remove(folder / one)
            else:
                (folder / one).rename(old / one)
    for one in _PARTS:
        if (new / one).exists():
            (new / one).rename(folder / one)
    files.make_durable(folder)
    shutil.rmtree(new)


def _dispose(old: Path, keep: bool) -> Path | None:
    kept = old.with_name(f"before-restore-{datetime.now(UTC):{shelf.STAMP}}")
    old.rename(kept)
    if keep:
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _ask_for_a_scan(settings: Settings, name: str, made_at: datetime) -> None:
    with wiring.open_control(settings) as control:
        control.ensure(name)
        control.request_scan(name, f"its state was restored from the backup of {made_at:%Y-%m-%d %H:%M} UTC")
