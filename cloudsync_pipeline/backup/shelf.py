"""Where backups lie: `<backup_path>/<part>/<time>/`, newest last; made, found, listed, and thrown away by age."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloudsync_pipeline.backup import files, manifest
from cloudsync_pipeline.backup.files import translated
from cloudsync_pipeline.backup.manifest import Held, Manifest
from cloudsync_pipeline.core.errors import CloudSyncError, StateError

STAMP = "%Y%m%dT%H%M%SZ"
_UNFINISHED = ".unfinished-"
_ABANDONED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was finished: where it lies, and when it was made."""

    part: str
    folder: Path
    made_at: datetime


class Making:
    """A backup that is being made, in a folder that bears no name of one yet.

    Attributes:
        held: its files so far.
        copied: how many of them were not linked.
    """

    def __init__(self, folder: Path, before: Backup | None) -> None:
        self.folder = folder
        self.held: dict[str, Held] = {}
        self._before = before.folder if before else None
        self._known = _known(before)
        self.copied = 0

    def add(self, source: Path, path: str, *, changed: int | None = None) -> None:
        """Copy a file, or link the copy that the backup before has of it.

        Args:
            source: a file that never changes under its name, or, with `changed`, one that is as it was while that is
                the same.
            path: its name in the backup, relative.
            changed: when it was last changed, in nanoseconds.
        """
        target, known = self.folder / path, self._known.get(path)
        size = source.stat().st_size
        same = known is not None and known.changed == changed and (changed is not None or known.size == size)
        if known is not None and same and self._before is not None:
            there = self._before / path
            if there.is_file() and there.stat().st_size == known.size and files.link(there, target):
                self.held[path] = known
                return
        sha256 = files.copy(source, target)
        self.held[path] = Held(target.stat().st_size, sha256, changed)
        self.copied += 1

    def add_sqlite(self, source: Path, path: str, *, changed: int | None = None) -> None:
        """Copy a database in use, or link its copy where it has not changed since; see `add`."""
        known = self._known.get(path)
        if changed is not None and known is not None and known.changed == changed and self._before is not None:
            there = self._before / path
            if there.is_file() and there.stat().st_size == known.size and files.link(there, self.folder / path):
                self.held[path] = known
                return
        files.copy_sqlite(source, self.folder / path)
        self.note(path, changed=changed)

    def note(self, path: str, *, changed: int | None = None) -> None:
        """Take up a file that was written into the folder by other means."""
        file = self.folder / path
        self.held[path] = Held(file.stat().st_size, files.digest(file), changed)
        self.copied += 1


@contextmanager
def making(
    root: Path, part: str, kind: str, *, now: datetime, facts: dict[str, object], full: bool = False
) -> Iterator[Making]:
    """Make a backup: the block fills it; it gets its name when the block is done, and is gone when that fails.

    Args:
        root: `database.backup_path`.
        part, kind: see `Manifest`.
        now: aware.
        facts: see `Manifest`.
        full: link nothing.

    Raises:
        StorageFull, StateError: the disk.
    """
    shelf = root / part
    whose = part.rpartition("/")[2]
    with translated(f"making a backup of {whose}"):
        shelf.mkdir(parents=True, exist_ok=True)
        _sweep(shelf, now)
        made = listed(root, part)
        folder = shelf / f"{_UNFINISHED}{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700)
        try:
            one = Making(folder, None if full else _whole(made))
            yield one
            while (shelf / f"{now:{STAMP}}").exists():
                now += timedelta(seconds=1)
            Manifest(part, kind, now, facts, one.held).write(folder)
            files.make_durable(folder / manifest.NAME)
            files.make_durable(folder)
            folder.rename(shelf / f"{now:{STAMP}}")
            files.make_durable(shelf)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def listed(root: Path, part: str) -> list[Backup]:
    """The finished backups of a part, oldest first."""
    found = []
    if (root / part).is_dir():
        for folder in sorted((root / part).iterdir()):
            made_at = _made_at(folder.name)
            if made_at is not None and folder.is_dir():
                found.append(Backup(part, folder, made_at))
    return found


def find(root: Path, part: str, *, at: datetime | None = None) -> Backup:
    """The newest backup of a part, or the newest made at or before `at`.

    Raises:
        StateError: there is none.
    """
    every = listed(root, part)
    fitting = [one for one in every if at is None or one.made_at <= at]
    if fitting:
        return fitting[-1]
    whose = part.rpartition("/")[2]
    if every:
        raise StateError(
            f"There is no backup of {whose} from before {at:%Y-%m-%d %H:%M:%S} UTC.",
            remedy=f"The oldest was made at {every[0].made_at:%Y-%m-%d %H:%M:%S} UTC.",
        )
    raise StateError(
        f"There is no backup of {whose} in {root / part}.",
        remedy="`cloudsync backups` lists which there are; `database.backup_path` says where they are looked for.",
    )


def parts(root: Path) -> list[str]:
    """The parts of which there are backups."""
    lakes = sorted(f"integrations/{one.name}" for one in (root / "integrations").glob("*") if one.is_dir())
    return [one for one in (*lakes, "control", "dagster") if listed(root, one)]


def due(root: Path, part: str, *, every: float, now: datetime) -> bool:
    """Whether the newest backup of a part is older than so many seconds, or none is there."""
    made = listed(root, part)
    return not made or (now - made[-1].made_at).total_seconds() >= every


def prune(root: Path, part: str, *, keep: int | None, keep_seconds: float | None, now: datetime) -> list[Backup]:
    """Throw away old backups; returns which. The newest one always stays.

    Args:
        keep: so many, the newest.
        keep_seconds: those that are younger.
    """
    made = listed(root, part)
    if keep is not None:
        old = made[:-keep]
    else:
        oldest = now - timedelta(seconds=keep_seconds or 0)
        old = [one for one in made[:-1] if one.made_at < oldest]
    for one in old:
        # Renamed first: what is half removed must not look like a backup.
        doomed = one.folder.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
        with translated(f"removing the backup {one.folder}"):
            one.folder.rename(doomed)
            shutil.rmtree(doomed)
    return old


def _known(before: Backup | None) -> dict[str, Held]:
    return dict(manifest.read(before.folder).files) if before else {}


def _whole(made: list[Backup]) -> Backup | None:
    """The newest whose manifest can be read; a broken one is no reason to make no further backup."""
    for one in reversed(made):
        try:
            manifest.read(one.folder)
        except CloudSyncError:
            continue
        return one
    return None


def _sweep(shelf: Path, now: datetime) -> None:
    """Remove what a killed process left unfinished."""
    for folder in shelf.glob(f"{_UNFINISHED}*"):
        if now.timestamp() - folder.stat().st_mtime > _ABANDONED.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)


def _made_at(name: str) -> datetime | None:
    try:
        return datetime.strptime(name, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
