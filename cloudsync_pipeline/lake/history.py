"""What was true, what changed, and why: questions people ask of a lake's past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.lake import Lake

_COMPARED = {
    "objects": ("size", "etag", "version_id", "fingerprint_value"),
    "files": ("size", "internal_id", "source_etag", "fingerprint_value", "permissions", "owner", "group_name"),
}
"""What makes a row of these tables another one; when it was looked at does not."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that two snapshots tell differently.

    Attributes:
        kind: "added", "removed" or "changed".
        size_before, size_after: bytes; None where it was not there.
    """

    key: str
    kind: str
    size_before: int | None
    size_after: int | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a path.

    Attributes:
        at: UTC.
        what: "event", "operation" or "owed".
        kind: the event's type, the operation's kind, or the owed aspect.
        detail: in words: how it ended, why it is owed.
        other: the other path, of a move or rename.
        run_id: the run that saw or did it, where known.
    """

    at: datetime
    what: str
    kind: str
    detail: str
    other: str | None
    run_id: str | None


def rows_as_of(
    lake: Lake,
    table: str,
    *,
    snapshot: int | None = None,
    time: datetime | None = None,
    prefix: str = "",
    after: str | None = None,
    rows: int = 10_000,
) -> Iterator[pa.RecordBatch]:
    """A table as it was, in batches, by key.

    Args:
        table: "objects" or "files".
        snapshot, time: which state; the newest with neither.
        prefix: only keys that begin with it.
        after: only keys that follow this one, for going on page by page.
        rows: about how many a batch.

    Raises:
        SnapshotGone: that state has expired.
        StateError: another table.
    """
    key = _key_of(lake, table)
    version = lake.as_of(snapshot, time)
    query = (
        f"SELECT * FROM {table} AT (VERSION => {version}) "
        f"WHERE starts_with({key}, $prefix) AND ($after IS NULL OR {key} > $after) ORDER BY {key}"
    )
    yield from lake.batches(query, {"prefix": prefix, "after": after}, rows)


def row_as_of(
    lake: Lake, table: str, key: str, *, snapshot: int | None = None, time: datetime | None = None
) -> dict[str, Any] | None:
    """One object or file as it was; None where it was not there. Arguments and errors as in `rows_as_of`."""
    column = _key_of(lake, table)
    version = lake.as_of(snapshot, time)
    found = lake.arrow(f"SELECT * FROM {table} AT (VERSION => {version}) WHERE {column} = ? LIMIT 1", [key]).to_pylist()
    if not found:
        return None
    return {name: v.astimezone(UTC) if isinstance(v, datetime) else v for name, v in found[0].items()}


def differences(lake: Lake, table: str, start: int, end: int) -> Iterator[Difference]:
    """What differs between two snapshots, by key: the net effect, where `Lake.changes` gives each step.

    Args:
        table: "objects" or "files".
        start, end: snapshot ids, in any order.

    Raises:
        SnapshotGone: one of them has expired.
        StateError: another table.
    """
    key = _key_of(lake, table)
    before, after = lake.as_of(start), lake.as_of(end)
    changed = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in _COMPARED[table])
    query = (
        f"SELECT coalesce(b.{key}, a.{key}) AS key, "
        f"CASE WHEN b.{key} IS NULL THEN 'added' WHEN a.{key} IS NULL THEN 'removed' ELSE 'changed' END AS kind, "
        "b.size AS size_before, a.size AS size_after "
        f"FROM (FROM {table} AT (VERSION => {before})) b FULL JOIN (FROM {table} AT (VERSION => {after})) a "
        f"ON a.{key} = b.{key} "
        f"WHERE a.{key} IS NULL OR b.{key} IS NULL OR {changed} ORDER BY 1"
    )
    for batch in lake.batches(query):
        for row in batch.to_pylist():
            yield Difference(**row)


def of_path(lake: Lake, path: str, limit: int = 100) -> Sequence[Happening]:
    """What is remembered of one path, newest first: events seen, operations done or failed, and what it is owed.

    Args:
        path: escaped; an old name tells of the moves away from it, a new one of those to it.
        limit: at most so many.
    """
    rows = lake.read(schema.sql("history_of_path"), {"path": path, "limit": limit})
    return [Happening(*row) for row in rows]


def _key_of(lake: Lake, table: str) -> str:
    if table not in _COMPARED:
        raise StateError(
            f"{table!r} has no history by key.", integration=lake.integration, remedy="Ask for objects or files."
        )
    return schema.ONE_ROW_EACH[table][0]
