"""Errors of DuckDB and its catalogs as ours. DuckDB has few error classes: what happened is read from the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from cloudsync_pipeline.core.errors import CloudSyncError, LockLost, SnapshotGone, StateError, StorageFull
from cloudsync_pipeline.lake.fence import STALE

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
_ENDED = (
    "terminating connection due to administrator command",
    "server closed the connection",
    # DuckLake's own words where it finds the connection gone as it cleans up: of the reason nothing is left then.
    'failed to execute query "rollback"',
)
"""What is heard of a session that was ended in PostgreSQL: by who takes over (see `fence`), or by a restart."""
_UNREACHABLE = (*_ENDED, "unable to connect to postgres", "connection to server")
_BUCKET = re.compile(r"HTTP (GET|PUT|POST|HEAD|DELETE|Error)|\bs3://", re.IGNORECASE)
# DuckLake quotes the whole of what it sent to PostgreSQL, with the least and greatest value of each column.
_QUERY = re.compile(r'Failed to execute query ".*": (?=ERROR:)', re.DOTALL)
_FULL_OR_FAILING = "disk i/o error"
"""What SQLite says also where there is no room for the files that it keeps beside a catalog."""
_DRAWING = re.compile(r"^LINE \d+:", re.MULTILINE)
_SPILLED = ("max_temp_directory_size", "failed to offload data block")


def is_contention(error: duckdb.Error) -> bool:
    """True where another writer came between, so that the same SQL may succeed when it is run again."""
    text = str(error).lower()
    return any(sign in text for sign in _CONTENTION)


def is_ended(error: duckdb.Error) -> bool:
    """True where PostgreSQL has ended this session: what it had not committed is undone, and a new one may be begun."""
    text = str(error).lower()
    return any(sign in text for sign in _ENDED)


def in_one_line(error: BaseException) -> str:
    """What DuckDB says, without the drawings of the statement below it, and without a full stop."""
    return " ".join(_DRAWING.split(_QUERY.sub("", str(error)), maxsplit=1)[0].split()).rstrip(".")


def translate(error: Exception, integration: str, doing: str) -> CloudSyncError:
    """The error of ours that tells a person what a DuckDB error means, whoever passed it on."""
    line, lower = in_one_line(error), str(error).lower()
    if STALE in str(error):
        return LockLost(
            f"Another writer has taken over, noticed while {doing}: nothing of it was committed.",
            integration=integration,
            remedy="This run stops writing; the newer one goes on.",
        )
    if any(sign in lower for sign in _FULL):
        return StorageFull(
            f"The disk of the lake is full, while {doing}: {line}.",
            integration=integration,
            remedy="Free some space under the state folder; what was committed is safe.",
        )
    if _FULL_OR_FAILING in lower:
        return StorageFull(
            f"The disk of the lake is full or failing, while {doing}: {line}.",
            integration=integration,
            remedy="Free some space under the state folder, or check the disk; what was committed is safe.",
        )
    if isinstance(error, duckdb.OutOfMemoryException) or any(sign in lower for sign in _SPILLED):
        return StateError(
            f"The lake ran out of memory while {doing}: {line}.",
            integration=integration,
            remedy="Raise `database.memory_limit`, or free space in the lake's tmp folder.",
        )
    if "no snapshot found at" in lower:
        return SnapshotGone(
            f"That state of the lake is gone: {line}.",
            integration=integration,
            remedy="Ask for a later snapshot or time; older ones have expired.",
        )
    remedy = None
    if any(sign in lower for sign in _UNREACHABLE):
        remedy = "The lakes' catalog, `database.lakes.catalog`, must be reachable; what was committed is safe."
    elif "cannot open file" in lower and "no such file" in lower:
        remedy = f"A data file is missing. Put the newest backup back: cloudsync restore --integration {integration}"
    elif _BUCKET.search(str(error)):
        remedy = "Check `database.lakes`: its bucket, endpoint, region and credentials."
    return StateError(f"The lake failed while {doing}: {line}.", integration=integration, remedy=remedy)


@contextmanager
def translated(integration: str, doing: str) -> Iterator[None]:
    """Raise what `translate` makes of any DuckDB error within."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error, integration, doing) from error
