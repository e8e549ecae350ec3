"""Files below a root: walked in bounded batches, opened without following a link.

POSIX only (`openat`, `O_NOFOLLOW`). Blocking: to be called in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    ContainerNotFound,
    IncompleteListing,
    NotFound,
    Unavailable,
)
from cloudsync_pipeline.core.keys import escape_bytes, unescape_bytes

OPEN_FOLDERS = 64
"""Levels of folders that a walk holds open while it reads them; below it, a folder's entries are read at once, so
that a deep tree does not use up the process's file descriptors."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a named pipe waits for somebody who writes into it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file of a walk; `key` is escaped and relative to the root."""

    key: str
    status: os.stat_result


def version(status: os.stat_result) -> str:
    """A label that changes whenever the file's content may have: it serves as ETag."""
    parts = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
    return "-".join(f"{part:x}" for part in parts)


def modified(status: os.stat_result) -> datetime:
    """When its content last changed, as the file system says."""
    return datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1_000_000, UTC)


def translated(error: OSError, *, root: bytes, key: str | None = None) -> CloudSyncError:
    """The `core` error for what the operating system raised below the root."""
    if error.errno in _ABSENT:
        return NotFound(f"there is no such file below {os.fsdecode(root)!r}", key=key)
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(
            f"reading below {os.fsdecode(root)!r} is not permitted",
            key=key,
            remedy="Let this process's user read the folder and everything in it.",
        )
    return Unavailable(f"reading below {os.fsdecode(root)!r} failed: {error.strerror}", key=key)


def open_root(root: bytes) -> int:
    """A descriptor of the root folder, to be closed by the caller.

    Raises:
        ContainerNotFound: it is not there, or no folder.
        AccessDenied, Unavailable: it cannot be opened.
    """
    try:
        # The root itself may be a link: a person configured it.
        return os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _ABSENT:
            raise ContainerNotFound(
                f"the folder {os.fsdecode(root)!r} does not exist", remedy="Create it, mount it, or correct the path."
            ) from error
        raise translated(error, root=root) from error


@contextmanager
def parent_of(root: bytes, key: str) -> Iterator[tuple[int, bytes]]:
    """The open folder that holds a key's file, and the file's name in it.

    Raises:
        NotFound: the folder is not there, or the key is none that a file can have.
    """
    *folders, name = unescape_bytes(key).split(b"/")
    if any(part in (b"", b".", b"..") or b"\0" in part for part in (*folders, name)):
        raise NotFound("no file can have this name", key=key)
    held = open_root(root)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=held)
            os.close(held)
            held = inner
        yield held, name
    except OSError as error:
        raise translated(error, root=root, key=key) from error
    finally:
        os.close(held)


def status_of(root: bytes, key: str) -> os.stat_result:
    """What the file system says of a key's file. Raises NotFound, ContainerNotFound, AccessDenied, Unavailable."""
    with parent_of(root, key) as (folder, name):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return _regular(status, key)


def open_file(root: bytes, key: str) -> tuple[int, os.stat_result]:
    """A descriptor, to be closed by the caller, and the file's status. Raises as `status_of`."""
    with parent_of(root, key) as (folder, name):
        descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        return descriptor, _regular(os.fstat(descriptor), key)
    except BaseException:
        os.close(descriptor)
        raise


def _regular(status: os.stat_result, key: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("what stands there is no regular file", key=key)
    return status


def walk(root: bytes) -> Iterator[Found]:
    """Every regular file below the root, in no promised order.

    Raises:
        ContainerNotFound: the root is not there.
        AccessDenied: a folder in it may not be read, so the listing cannot be complete.
        IncompleteListing: reading broke off, or the root was replaced or unmounted meanwhile.
    """
    before = _identity(root)
    try:
        yield from _below(root)
    except OSError as error:
        failure = translated(error, root=root)
        if isinstance(failure, AccessDenied):
            raise failure from error
        raise IncompleteListing(failure.message) from error
    if _identity(root) != before:
        raise IncompleteListing(
            f"the folder {os.fsdecode(root)!r} was replaced or unmounted while it was listed", remedy="List it again."
        )


def _identity(root: bytes) -> tuple[int, int]:
    descriptor = open_root(root)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return status.st_dev, status.st_ino


def _below(root: bytes) -> Iterator[Found]:
    # One iterator a level, not a list of folders to come: a folder may hold millions.
    levels: list[Iterator[os.DirEntry[bytes]]] = [_entries(root, 0)]
    cut = len(root.rstrip(b"/")) + 1
    try:
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
            elif entry.is_dir(follow_symlinks=False):
                levels.append(_entries(entry.path, len(levels)))
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Found(escape_bytes(entry.path[cut:]), status)
    finally:
        for level in levels:
            _close(level)


def _entries(folder: bytes, depth: int) -> Iterator[os.DirEntry[bytes]]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        if depth == 0:
            raise
        # Removed since its name was read, perhaps with a file in its place.
        return iter(())
    if depth < OPEN_FOLDERS:
        return entries
    with entries:
        return iter(list(entries))


def _close(level: Iterator[os.DirEntry[bytes]]) -> None:
    close = getattr(level, "close", None)
    if close is not None:
        close()
