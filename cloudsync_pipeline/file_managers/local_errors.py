"""What the operating system says of a file, as the project's errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    NotFound,
    PathRejected,
    StorageFull,
    Unavailable,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IMPOSSIBLE_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})


@contextmanager
def translating(path: str | None = None) -> Iterator[None]:
    """Turn OSError into the project's errors, about `path` (escaped)."""
    try:
        yield
    except OSError as error:
        raise _translated(error, path) from error


def _translated(error: OSError, path: str | None) -> CloudSyncError:
    reason = error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return NotFound("No file stands at this path.", key=path)
    if error.errno in _FULL:
        return StorageFull(f"The disk takes no more: {reason}.", key=path, remedy="Make room, or raise the quota.")
    if error.errno in _DENIED:
        return AccessDenied(
            f"The file system refuses this process: {reason}.",
            key=path,
            remedy="Give it the right to write to the destination folder.",
        )
    if error.errno in _IMPOSSIBLE_NAME:
        return PathRejected(f"The file system cannot hold this path: {reason}.", key=path, remedy="Rename the object.")
    return Unavailable(f"The file system failed: {reason}.", key=path, remedy="Check the disk or mount.")
