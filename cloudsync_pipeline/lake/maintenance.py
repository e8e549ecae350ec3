"""Keeps a lake small and quick: forgets what is past its retention, compacts, expires snapshots, removes files.

Everything here is done by the lake's only writer: the caller holds the integration's lock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudsync_pipeline.lake import schema, tidying
from cloudsync_pipeline.lake.attach import CATALOG, METADATA
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.leftovers import remove_orphans, remove_released
from cloudsync_pipeline.lake.location import Removed
from cloudsync_pipeline.lake.versions import last_change_name

SNAPSHOTS_YOUNGEST = timedelta(hours=24)
"""No younger snapshot expires: in a reader's transaction, a comparison once lost 6,000 rows without an error."""
PLANS_YOUNGEST = timedelta(days=2)
"""The delete guard counts what was deleted in its window; what it counts stays."""
ABANDONED = timedelta(days=7)
"""An unfinished run protects its snapshots so long; it was killed, if nothing has finished it since."""
REWRITE_FROM = 0.2
"""A data file is rewritten without its deleted rows once this share of them is deleted; small ones before."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept.

    Attributes:
        snapshots: old states of the tables; at least `SNAPSHOTS_YOUNGEST`.
        events: events as received.
        event_identities: what deduplication goes by; at least as long as the events.
        plans: closed plans with their operations and outcomes, runs, merged listings; at least `PLANS_YOUNGEST`.
    """

    snapshots: timedelta = timedelta(days=14)
    events: timedelta = timedelta(days=30)
    event_identities: timedelta = timedelta(days=90)
    plans: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        for name, shortest in (
            ("snapshots", SNAPSHOTS_YOUNGEST),
            ("events", timedelta(0)),
            ("event_identities", self.events),
            ("plans", PLANS_YOUNGEST),
        ):
            if getattr(self, name) < shortest:
                raise ValueError(f"{name} must be kept for {shortest} at least, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Compacted:
    """Data files before and after, for each table that was compacted."""

    merged: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rewritten: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What a maintenance did.

    Attributes:
        forgotten: rows past their retention, by table.
        expired: snapshots.
        released, orphans: files removed, and their bytes.
        files, bytes: data files that the newest snapshot needs, afterwards.
        seconds: how long it took.
    """

    forgotten: Mapping[str, int]
    compacted: Compacted
    expired: int
    released: Removed
    orphans: Removed
    files: int
    bytes: int
    seconds: float
    snapshot_id: int


def maintain(lake: Lake, now: datetime, *, run_id: str, retention: Retention | None = None) -> Maintained:
    """Forget, compact, expire and remove, in this order, each in commits of its own: it can be killed anywhere.

    Args:
        now: aware.
        run_id: the author of its commits.
        retention: the defaults unless told.
    """
    started = time.monotonic()
    keep = retention or Retention()
    # Of a lake that an older release made; what is compacted is written anew.
    lake.commit(schema.store_as_wanted, run_id=run_id, step="maintenance", message="how data files are written")
    forgotten = forget(lake, now, keep, run_id=run_id)
    compacted = compact(lake, run_id=run_id)
    expired = expire(lake, now, keep.snapshots, run_id=run_id)
    released = remove_released(lake, now, run_id=run_id)
    orphans = remove_orphans(lake, now)
    files, size = lake.one(
        f"SELECT count(*), coalesce(sum(file_size_bytes), 0)::BIGINT FROM {METADATA}.ducklake_data_file "
        "WHERE end_snapshot IS NULL"
    ) or (0, 0)
    return Maintained(
        forgotten=forgotten,
        compacted=compacted,
        expired=expired,
        released=released,
        orphans=orphans,
        files=files,
        bytes=size,
        seconds=time.monotonic() - started,
        snapshot_id=lake.current_snapshot(),
    )


def forget(lake: Lake, now: datetime, keep: Retention, *, run_id: str) -> Mapping[str, int]:
    """Delete rows past their retention; returns how many of each table. Open plans keep all that is theirs."""
    closed = "plan_id IN (SELECT plan_id FROM plans WHERE closed_at < $plans)"
    past = {
        "events": "received_at < $events",
        "event_identities": "received_at < $event_identities",
        "outcomes": closed,
        "operations": closed,
        "plans": "closed_at < $plans",
        "steps": "finished_at < $plans AND run_id NOT IN (SELECT run_id FROM plans)",
        "runs": "started_at < $plans AND run_id NOT IN (SELECT run_id FROM plans)",
        "listings": "merged_at < $plans",
    }
    times = {
        "events": now - keep.events,
        "event_identities": now - keep.event_identities,
        "plans": now - keep.plans,
    }

    def work(connection: Connection) -> dict[str, int]:
        gone: dict[str, int] = {}
        for table, condition in past.items():
            named = {name: at for name, at in times.items() if f"${name}" in condition}
            row = connection.execute(f"DELETE FROM {table} WHERE {condition}", named).fetchone()
            if row is not None and row[0]:
                gone[table] = int(row[0])
        return gone

    return lake.commit(work, run_id=run_id, step="maintenance", message="forget what is past its retention")


def compact(lake: Lake, *, run_id: str) -> Compacted:
    """Merge small data files, and rewrite those with many deleted rows; one commit a table, and every snapshot
    reads as before."""
    # What is rewritten can be merged, and what has deleted rows cannot.
    small = {files.table: tidying.rewriting(files) for files in tidying.scattered(lake) if files.holed > 1}
    rewritten = _compact_each(lake, small, run_id)
    holed = {
        table: f"CALL ducklake_rewrite_data_files('{CATALOG}', '{table}', delete_threshold => {REWRITE_FROM})"
        for (table,) in lake.read(_WITH_DELETES)
    }
    for table, (before, after) in _compact_each(lake, holed, run_id).items():
        others = rewritten.get(table, (0, 0))
        rewritten[table] = before + others[0], after + others[1]
    many = {
        table: f"CALL ducklake_merge_adjacent_files('{CATALOG}', '{table}')" for (table,) in lake.read(_WITH_MANY_FILES)
    }
    return Compacted(_compact_each(lake, many, run_id), rewritten)


_WITH_MANY_FILES = (
    f"SELECT t.table_name FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id) "
    "WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
)
_WITH_DELETES = (
    f"SELECT DISTINCT t.table_name FROM {METADATA}.ducklake_delete_file f JOIN {METADATA}.ducklake_table t "
    "USING (table_id) WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL ORDER BY 1"
)


def _compact_each(lake: Lake, calls: Mapping[str, str], run_id: str) -> dict[str, tuple[int, int]]:
    """Run each table's statement in a commit of its own; the tables of which files were taken, with their numbers."""
    done: dict[str, tuple[int, int]] = {}
    for table, call in calls.items():

        def work(connection: Connection, call: str = call) -> tuple[int, int]:
            return tidying.done_by(connection, call)

        before, after = lake.commit(work, run_id=run_id, step="maintenance", message=f"compact {table}")
        if before:
            done[table] = before, after
    return done


def expire(lake: Lake, now: datetime, keep: timedelta, *, run_id: str) -> int:
    """Expire old snapshots; returns how many.

    Kept are: the newest; all younger than `keep`; the state at that age, so that each moment since can be asked for;
    and everything from the oldest snapshot on that an open plan or an unfinished run needs.
    """
    if keep < SNAPSHOTS_YOUNGEST:
        raise ValueError(f"snapshots must be kept for {SNAPSHOTS_YOUNGEST} at least, not {keep}")
    first_kept = lake.scalar(schema.sql("first_kept_snapshot"), {"kept": now - keep, "abandoned": now - ABANDONED})
    # The versions are named one by one: with a SQLite catalog DuckLake takes any `older_than` for "all".
    versions = [
        version
        for (version,) in lake.read(
            f"SELECT snapshot_id FROM {METADATA}.ducklake_snapshot WHERE snapshot_id < ? ORDER BY 1", [first_kept or 0]
        )
    ]
    if not versions:
        return 0
    _note_last_changes(lake, run_id)

    def work(connection: Connection) -> None:
        connection.execute(f"CALL ducklake_expire_snapshots('{CATALOG}', versions => {versions})").fetchall()

    lake.commit(work, run_id=run_id, step="maintenance", message="expire snapshots")
    return len(versions)


def _note_last_changes(lake: Lake, run_id: str) -> None:
    """Keep each table's data version beyond the life of the snapshot that it names."""
    now = {last_change_name(table): str(lake.last_change(table)) for table in schema.TABLES if table != "meta"}
    noted = dict(lake.read("SELECT name, value FROM meta WHERE starts_with(name, ?)", [last_change_name("")]))
    moved = [(name, value) for name, value in now.items() if noted.get(name) != value]
    if not moved:
        return

    names, values = [name for name, _ in moved], [value for _, value in moved]

    def work(connection: Connection) -> None:
        connection.execute("DELETE FROM meta WHERE list_contains(?, name)", [names])
        # One statement: each one writes a file of its own.
        connection.execute("INSERT INTO meta (name, value) SELECT unnest(?), unnest(?)", [names, values])

    lake.commit(work, run_id=run_id, step="maintenance", message="note data versions", unique=("meta",))
