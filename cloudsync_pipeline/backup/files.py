"""Files copied with their checksum, onto the disk before anybody is told that they are there."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cloudsync_pipeline.core.errors import StateError, StorageFull

_BLOCK = 1024 * 1024


def digest(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def copy(source: Path, target: Path) -> str:
    """Copy a file's content and make it durable; returns the SHA-256 of what was read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    with source.open("rb") as content, target.open("xb") as there:
        while block := content.read(_BLOCK):
            seen.update(block)
            there.write(block)
        there.flush()
        os.fsync(there.fileno())
    return seen.hexdigest()


def link(source: Path, target: Path) -> bool:
    """Give a file that never changes a second name; False where the file system cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database that others may be reading and writing, as of one moment, into one file.

    Raises:
        StateError: it is damaged, or no such database.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=30)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as there,
        ):
            live.backup(there)
            there.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = there.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StateError(
            f"The database {source} cannot be copied: {error}.",
            remedy="Check it with: sqlite3 FILE 'PRAGMA quick_check'",
        ) from error
    if verdict != "ok":
        raise StateError(
            f"The database {source} is damaged: {verdict}.", remedy="Restore the newest backup that is whole."
        )
    make_durable(target)


def make_durable(path: Path) -> None:
    """Have the system write a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(doing: str, integration: str | None = None) -> Iterator[None]:
    """Tell errors of the disk in our words.

    Raises:
        StorageFull: there is no room.
        StateError: a file cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"No room left while {doing}{where}: {reason}.",
                integration=integration,
                remedy="Free some space there.",
            ) from error
        raise StateError(
            f"It broke off while {doing}{where}: {reason}.",
            integration=integration,
            remedy="This process must be able to read the state folder and to write to `database.backup_path`.",
        ) from error


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
