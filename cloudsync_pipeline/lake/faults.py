"""DuckDB's and SQLite's errors as ours. DuckDB has few error classes, so what happened is read from the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from cloudsync_pipeline.core.errors import CloudSyncError, SnapshotGone, StateError, StorageFull

_CONTENTION = (
    "database is locked",
    "database table is locked",
    "transaction conflict",
    "write-write conflict",
    "conflict on ",
    "could not serialize access",
    "deadlock detected",
    "duplicate key value violates unique constraint",
    "unique constraint failed",
    "primary key or unique constraint",
)
_FULL = ("no space left on device", "database or disk is full", "disk quota exceeded")
_DRAWING = re.compile(r"^LINE \d+:", re.MULTILINE)
_SPILLED = ("max_temp_directory_size", "failed to offload data block")


def is_contention(error: duckdb.Error) -> bool:
    """True where another writer came between, so that the same SQL may succeed when it is run again."""
    text = str(error).lower()
    return any(sign in text for sign in _CONTENTION)


def in_one_line(error: BaseException) -> str:
    """What DuckDB says, without the drawings of the statement below it, and without a full stop."""
    return " ".join(_DRAWING.split(str(error), maxsplit=1)[0].split()).rstrip(".")


def translate(error: Exception, integration: str, doing: str) -> CloudSyncError:
    """The error of ours that tells a person what a DuckDB error means, whoever passed it on."""
    line, lower = in_one_line(error), str(error).lower()
    if any(sign in lower for sign in _FULL):
        return StorageFull(
            f"The disk of the lake is full, while {doing}: {line}.",
            integration=integration,
            remedy="Free some space under the state folder; what was committed is safe.",
        )
    if isinstance(error, duckdb.OutOfMemoryException) or any(sign in lower for sign in _SPILLED):
        return StateError(
            f"The lake ran out of memory while {doing}: {line}.",
            integration=integration,
            remedy="Raise the lake's memory limit, or free space in its tmp folder.",
        )
    if "no snapshot found at" in lower:
        return SnapshotGone(
            f"That state of the lake is gone: {line}.",
            integration=integration,
            remedy="Ask for a later snapshot or time; older ones have expired.",
        )
    return StateError(f"The lake failed while {doing}: {line}.", integration=integration)


@contextmanager
def translated(integration: str, doing: str) -> Iterator[None]:
    """Raise what `translate` makes of any DuckDB error within."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, integration, doing) from error
