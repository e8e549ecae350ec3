"""A lake's versions: its snapshots, what changed between two of them, and which one a time means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.core.errors import SnapshotGone, StateError
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.attach import CATALOG, METADATA

if TYPE_CHECKING:
    from cloudsync_pipeline.lake.lake import Lake

_CHANGES_OF_ROWS = ("tables_inserted_into", "tables_deleted_from")
# Snapshot 0 is DuckLake's own: it has no tables yet.
_SNAPSHOTS = (
    f"(SELECT snapshot_id, snapshot_time::TIMESTAMPTZ AS made FROM {METADATA}.ducklake_snapshot WHERE snapshot_id > 0)"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed version of a lake.

    Attributes:
        id: grows with each commit.
        time: of the commit, UTC.
        author: the run that committed it; None for DuckLake's own first one.
        message: the step, and what it did.
        changes: kind of change, in DuckLake's words ("tables_inserted_into"), to the names of the tables.
        info: what the committer noted besides.
    """

    id: int
    time: datetime
    author: str | None
    message: str | None
    changes: Mapping[str, tuple[str, ...]]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed between two snapshots.

    Attributes:
        snapshot_id: the commit that changed it.
        row_id: DuckLake's own; equal for the two images of one update.
        kind: "insert", "delete", "update_preimage" or "update_postimage".
        row: column to value; times are aware UTC.
    """

    snapshot_id: int
    row_id: int
    kind: str
    row: Mapping[str, Any]


def newest(lake: Lake) -> int:
    """See `Lake.current_snapshot`."""
    return int(lake.scalar(f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot"))


def snapshots(lake: Lake, limit: int) -> list[Snapshot]:
    """See `Lake.snapshots`."""
    names = {str(i): name for i, name in lake.read(f"SELECT table_id, table_name FROM {METADATA}.ducklake_table")}
    rows = lake.read(
        "SELECT snapshot_id, snapshot_time, author, commit_message, changes, commit_extra_info "
        f"FROM ducklake_snapshots('{CATALOG}') ORDER BY snapshot_id DESC LIMIT ?",
        [limit],
    )
    return [
        Snapshot(
            id=row[0],
            time=row[1],
            author=row[2],
            message=row[3],
            changes={kind: tuple(names.get(t, t) for t in tables) for kind, tables in (row[4] or {}).items()},
            info=json.loads(row[5]) if row[5] else {},
        )
        for row in rows
    ]


def resolve(lake: Lake, snapshot: int | None, time: datetime | None) -> int:
    """See `Lake.as_of`."""
    if snapshot is not None:
        found = lake.scalar(f"SELECT snapshot_id FROM {_SNAPSHOTS} WHERE snapshot_id = ?", [snapshot])
        asked = f"Snapshot {snapshot}"
    elif time is not None:
        if time.tzinfo is None:
            raise ValueError(f"{time} has no time zone")
        found = lake.scalar(f"SELECT max(snapshot_id) FROM {_SNAPSHOTS} WHERE made <= ?", [time])
        asked = f"The state of {time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    else:
        return newest(lake)
    if found is None:
        oldest = lake.one(f"SELECT snapshot_id, made FROM {_SNAPSHOTS} ORDER BY snapshot_id LIMIT 1")
        since = f" The oldest is {oldest[0]}, of {oldest[1]:%Y-%m-%d %H:%M:%S} UTC." if oldest else ""
        raise SnapshotGone(
            f"{asked} has expired, or never was.",
            integration=lake.integration,
            remedy=f"Ask for one that is still kept.{since}",
        )
    return int(found)


def changes(lake: Lake, table: str, start: int, end: int) -> Iterator[Change]:
    """See `Lake.changes`.

    Where files were joined between (`tidying`, maintenance), DuckLake may tell an update as a delete and an insert, or
    name the commit that wrote the row before; what all of them come to is right.
    """
    if table not in schema.TABLES:
        raise StateError(
            f"The lake has no table {table!r}.",
            integration=lake.integration,
            remedy=f"It has {', '.join(schema.TABLES)}.",
        )
    first, last = resolve(lake, start, None), resolve(lake, end, None)
    if first >= last:
        return
    query = (
        f"SELECT * FROM ducklake_table_changes('{CATALOG}', 'main', '{table}', {first + 1}, {last}) "
        "ORDER BY snapshot_id, rowid, change_type DESC"
    )
    for batch in lake.batches(query):
        for row in batch.to_pylist():
            at, row_id, kind = row.pop("snapshot_id"), row.pop("rowid"), row.pop("change_type")
            yield Change(
                at, row_id, kind, {k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in row.items()}
            )


def last_change(lake: Lake, tables: Sequence[str]) -> int:
    """See `Lake.last_change`."""
    ids = lake.read(
        f"SELECT table_id FROM {METADATA}.ducklake_table WHERE end_snapshot IS NULL AND list_contains(?, table_name)",
        [list(tables)],
    )
    kinds = " OR ".join(f"list_has_any(changes['{kind}'], $ids)" for kind in _CHANGES_OF_ROWS)
    found = lake.scalar(
        f"SELECT max(snapshot_id) FROM ducklake_snapshots('{CATALOG}') WHERE {kinds}", {"ids": [str(i) for (i,) in ids]}
    )
    if found is None:
        # Every snapshot that changed them has expired; `maintenance` noted them before.
        noted = [last_change_name(table) for table in tables]
        found = lake.scalar("SELECT max(value::BIGINT) FROM meta WHERE list_contains(?, name)", [noted])
    return int(found or 0)


def last_change_name(table: str) -> str:
    """The name in `meta` under which a table's last change outlives its snapshot."""
    return f"last_change:{table}"
