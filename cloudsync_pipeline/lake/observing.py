"""What was observed of the storage, into `objects`; and in the same commit, what is owed because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.errors import CloudSyncError, SnapshotGone
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.lake import runs
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.owed import DUE, quarantine

COLUMNS = (
    "key, size, etag, last_modified, version_id, storage_class, content_type, "
    "fingerprint_kind, fingerprint_value, stable_id, parent_id, observed_at"
)
EQUAL = "coalesce(f.size = o.size AND f.source_etag = o.etag, false)"
"""When a file `f` holds its object `o`: the size, and the ETag of the read whose bytes were confirmed."""

PARKED = r"""coalesce(
    starts_with(f.path, '.cloudsync-parked-' || regexp_extract(f.op_id, '^(.*)-\d+(-[a-z]+)?$', 1) || '-'), false)"""
"""Whether a file `f` is one that we parked (`core.ordering.parking_name`), not one of a key that looks so."""

NOT_CONTENT = "none"
"""`fingerprint_kind` of an object whose ETag looks like an MD5 and was found not to be one."""

_SEEN_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.string()),
    pa.field("present", pa.bool_()),
    pa.field("size", pa.int64()),
    pa.field("etag", pa.string()),
    pa.field("last_modified", pa.timestamp("us", tz="UTC")),
    pa.field("version_id", pa.string()),
    pa.field("storage_class", pa.string()),
    pa.field("content_type", pa.string()),
    pa.field("fingerprint_kind", pa.string()),
    pa.field("fingerprint_value", pa.string()),
    pa.field("stable_id", pa.string()),
    pa.field("parent_id", pa.string()),
    pa.field("observed_at", pa.timestamp("us", tz="UTC")),
]
_SEEN = pa.schema(_SEEN_FIELDS)


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete staged listing.

    Attributes:
        parts: its Parquet files, columns as in `storage.base.LISTING_SCHEMA`; at least one.
        begun_at: by our clock, before its first page was requested: debts touched later are not covered by it.
        observed_from: by the storage's clock, its first page: objects observed later are not removed by it.
        begun_snapshot: of the lake when it began, where that is known: no clock is asked what came after it.
        objects, bytes: what it holds.
    """

    listing_id: str
    parts: tuple[Path, ...]
    begun_at: datetime
    completed_at: datetime
    observed_from: datetime
    objects: int
    bytes: int
    begun_snapshot: int | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge changed, compared with the state before.

    Attributes:
        drift: paths found to differ that no event had announced; None where none announces them.
    """

    added: int
    changed: int
    removed: int
    drift: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The state of an integration's objects and debts."""

    objects: int
    bytes: int
    owed: int


def totals(lake: Lake) -> Totals:
    """How much the state holds now."""
    row = lake.one("SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM objects") or (0, 0)
    return Totals(int(row[0]), int(row[1]), int(lake.scalar("SELECT count(DISTINCT path) FROM owed") or 0))


def is_merged(lake: Lake, listing_id: str) -> bool:
    """Whether a listing is in the state already."""
    return lake.one("SELECT 1 FROM listings WHERE listing_id = ?", [listing_id]) is not None


def merge_listing(
    lake: Lake, run_id: str, listing: Listing, *, keep_deleted: bool, announced: bool, now: datetime
) -> Merged:
    """Make `objects` what a complete listing shows, and owe every path that differs then.

    Times of modification are compared to the second, which is all that a HEAD gives.
    Rows observed after their page was requested are newer than the listing and stay as they are.

    Args:
        keep_deleted: the policy keeps files whose object is gone, so these are no debt.
        announced: there is a feed and a first scan, so that differences which are not owed yet are drift.
    """

    begun = _snapshot_there(lake, listing.begun_snapshot)
    undisturbed = begun is not None and lake.last_change("objects") <= begun

    def work(connection: Connection) -> Merged:
        connection.execute(
            "CREATE OR REPLACE TEMP VIEW listed AS SELECT * FROM read_parquet(["
            + ", ".join("'" + str(part).replace("'", "''") + "'" for part in listing.parts)
            + "])"
        )
        added, changed, removed = _merge_objects(connection, listing, undisturbed=undisturbed)
        new = _owe_differences(connection, listing, begun, keep_deleted=keep_deleted, now=now)
        drift = new if announced else None
        connection.execute(
            "INSERT INTO listings (listing_id, started_at, completed_at, merged_at, objects, bytes, run_id, drift) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                listing.listing_id,
                listing.begun_at,
                listing.completed_at,
                now,
                listing.objects,
                listing.bytes,
                run_id,
                drift,
            ],
        )
        runs.set_meta(connection, "scanned_at", listing.begun_at.isoformat())
        supersede_plans(connection, now)
        return Merged(added, changed, removed, drift)

    return lake.commit(
        work,
        run_id=run_id,
        step="snapshot",
        message=f"listing {listing.listing_id} of {listing.objects} objects",
        unique=("objects", "owed"),
    )


def _snapshot_there(lake: Lake, snapshot: int | None) -> int | None:
    """The snapshot, where its tables can still be read."""
    if snapshot is None:
        return None
    try:
        return lake.as_of(snapshot)
    except SnapshotGone:
        return None


def _merge_objects(connection: Connection, listing: Listing, *, undisturbed: bool) -> tuple[int, int, int]:
    """`undisturbed`: no object was observed since the listing began, whatever the storage's clock says."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE incoming AS
        SELECT l.*, o.key IS NOT NULL AS known
        FROM listed l LEFT JOIN objects o ON o.key = l.key
        WHERE o.key IS NULL
           OR ((? OR o.observed_at <= l.observed_at)
               AND (o.etag <> l.etag OR o.size <> l.size
                    OR date_trunc('second', o.last_modified) IS DISTINCT FROM date_trunc('second', l.last_modified)
                    OR (l.version_id IS NOT NULL AND o.version_id IS DISTINCT FROM l.version_id)))
        """,
        [undisturbed],
    )
    # A storage that is changed while it is listed may show a key on two pages; the later look counts.
    if connection.execute("SELECT 1 FROM incoming GROUP BY key HAVING count(*) > 1 LIMIT 1").fetchone():
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE incoming AS SELECT * FROM incoming
            QUALIFY row_number() OVER (PARTITION BY key ORDER BY observed_at DESC) = 1
            """
        )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE vanished AS
        SELECT o.key FROM objects o ANTI JOIN listed l ON o.key = l.key WHERE ? OR o.observed_at <= ?
        """,
        [undisturbed, listing.observed_from],
    )
    added = _count(connection, "SELECT count(*) FROM incoming WHERE NOT known")
    changed = _count(connection, "SELECT count(*) FROM incoming WHERE known")
    removed = _count(connection, "SELECT count(*) FROM vanished")
    if changed or removed:
        connection.execute(
            "DELETE FROM objects WHERE key IN (SELECT key FROM incoming WHERE known UNION ALL SELECT key FROM vanished)"
        )
    if added or changed:
        connection.execute(f"INSERT INTO objects ({COLUMNS}) SELECT {COLUMNS} FROM incoming")
    return added, changed, removed


def _owe_differences(
    connection: Connection, listing: Listing, begun: int | None, *, keep_deleted: bool, now: datetime
) -> int:
    """Bring `owed` in line with the difference of `objects` and `files`; returns how many debts are new."""
    gone = f"(o.key IS NULL AND NOT {PARKED})" if keep_deleted else "false"
    begun_at = listing.begun_at
    if _count(connection, "SELECT count(*) FROM owed WHERE aspect = 'content'"):
        _find_covered(connection, begun_at, begun)
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE paid AS
            SELECT w.path FROM covered w
            LEFT JOIN objects o ON o.key = w.path LEFT JOIN files f ON f.path = w.path
            WHERE {EQUAL} OR (o.key IS NULL AND f.path IS NULL) OR {gone}
            """
        )
        connection.execute("DELETE FROM owed WHERE aspect = 'content' AND path IN (SELECT path FROM paid)")
        connection.execute(
            "UPDATE owed SET observed_at = ? WHERE aspect = 'content' AND path IN (SELECT path FROM covered)",
            [begun_at],
        )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE differences AS
        SELECT coalesce(o.key, f.path) AS path,
               CASE WHEN f.path IS NULL THEN 'scan: new' WHEN o.key IS NULL THEN 'scan: vanished'
                    ELSE 'scan: changed' END AS reason
        FROM objects o FULL JOIN files f ON f.path = o.key
        WHERE NOT {EQUAL} AND NOT {gone}
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE missed AS
        SELECT d.path, d.reason FROM differences d
        ANTI JOIN (SELECT path FROM owed WHERE aspect = 'content') w ON w.path = d.path
        """
    )
    connection.execute(
        """
        INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
        SELECT path, 'content', ?, ?, ?, reason, 0 FROM missed
        """,
        [now, begun_at, begun_at],
    )
    return _count(connection, "SELECT count(*) FROM missed")


def _find_covered(connection: Connection, begun_at: datetime, begun: int | None) -> None:
    """`covered(path)`: the debts that were not touched since the listing began, so that it answers for them."""
    if begun is None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE covered AS "
            "SELECT path FROM owed WHERE aspect = 'content' AND touched_at <= ?",
            [begun_at],
        )
        return
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE covered AS
        SELECT w.path FROM owed w
        SEMI JOIN (SELECT path, touched_at FROM owed AT (VERSION => {begun}) WHERE aspect = 'content') b
            ON b.path = w.path AND b.touched_at = w.touched_at
        WHERE w.aspect = 'content'
        """
    )


def keys_to_observe(lake: Lake, now: datetime, *, after: str | None = None, limit: int = 1000) -> list[str]:
    """Owed keys that were named since the storage was last asked about them, in order, after `after`."""
    rows = lake.read(
        f"""
        SELECT path FROM owed
        WHERE aspect = 'content' AND observed_at IS NULL AND {DUE} AND ($after IS NULL OR path > $after)
        ORDER BY path LIMIT $limit
        """,
        {"now": now, "after": after, "limit": limit},
    )
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Observation:
    """What the storage said of one owed key; `object` is None where it is gone. `asked_at` is by our clock."""

    key: str
    object: StorageObject | None
    asked_at: datetime


def record_observations(lake: Lake, run_id: str, observations: Sequence[Observation], now: datetime) -> Merged:
    """Make `objects` what was observed of single keys. Keys must be owed; they stay owed."""
    if not observations:
        return Merged(0, 0, 0)
    seen = pa.Table.from_pylist([_seen_row(observation) for observation in observations], schema=_SEEN)
    asked_at = min(observation.asked_at for observation in observations)

    def work(connection: Connection) -> Merged:
        connection.register("seen", seen)
        try:
            return _observe(connection, asked_at, now)
        finally:
            connection.unregister("seen")

    return lake.commit(work, run_id=run_id, step="observe", message=f"{len(observations)} keys", unique=("objects",))


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An owed key that the storage gave no answer about, and its error."""

    key: str
    error: CloudSyncError


def record_unanswered(
    lake: Lake, run_id: str, unanswered: Sequence[Unanswered], *, quarantine_after: int, now: datetime
) -> None:
    """Note with each debt why it could not be looked at; it stays owed and is looked at again next time.

    Args:
        quarantine_after: a key about which the storage is silent in so many runs is quarantined.
    """
    if not unanswered:
        return
    rows = pa.table(
        {
            "path": [one.key for one in unanswered],
            "error": [str(one.error) for one in unanswered],
            "error_kind": [type(one.error).__name__ for one in unanswered],
        }
    )

    def work(connection: Connection) -> None:
        connection.register("unanswered", rows)
        try:
            connection.execute(
                """
                UPDATE owed SET attempts = attempts + 1, last_error = u.error, last_error_kind = u.error_kind
                FROM unanswered u WHERE u.path = owed.path AND owed.aspect = 'content'
                """
            )
            failing = connection.execute(
                "SELECT path, aspect, attempts FROM owed "
                "WHERE aspect = 'content' AND attempts >= ? AND path IN (SELECT path FROM unanswered)",
                [quarantine_after],
            ).fetchall()
            quarantine(connection, failing, quarantine_after, now)
        finally:
            connection.unregister("unanswered")

    lake.commit(work, run_id=run_id, step="observe", message=f"{len(unanswered)} keys without an answer")


def _observe(connection: Connection, asked_at: datetime, now: datetime) -> Merged:
    row = connection.execute(
        """
        SELECT count(*) FILTER (WHERE s.present AND o.key IS NULL),
               count(*) FILTER (WHERE s.present AND (o.etag <> s.etag OR o.size <> s.size)),
               count(*) FILTER (WHERE NOT s.present AND o.key IS NOT NULL)
        FROM seen s LEFT JOIN objects o ON o.key = s.key
        """
    ).fetchone() or (0, 0, 0)
    connection.execute("DELETE FROM objects WHERE key IN (SELECT key FROM seen)")
    connection.execute(f"INSERT INTO objects ({COLUMNS}) SELECT {COLUMNS} FROM seen WHERE present")
    connection.execute(
        "UPDATE owed SET observed_at = ? WHERE aspect = 'content' AND path IN (SELECT key FROM seen)", [asked_at]
    )
    supersede_plans(connection, now)
    return Merged(int(row[0]), int(row[1]), int(row[2]))


def _seen_row(observation: Observation) -> dict[str, object]:
    found = observation.object
    if found is None:
        return {"key": observation.key, "present": False}
    return {
        "key": observation.key,
        "present": True,
        "size": found.size,
        "etag": found.etag,
        "last_modified": found.last_modified,
        "version_id": found.version_id,
        "storage_class": found.storage_class,
        "content_type": found.content_type,
        # The storage was asked about this very object: where it vouches for nothing, its ETag is no digest.
        "fingerprint_kind": found.fingerprint.kind if found.fingerprint else NOT_CONTENT,
        "fingerprint_value": found.fingerprint.value if found.fingerprint else None,
        "stable_id": found.stable_id,
        "parent_id": found.parent_id,
        "observed_at": found.observed_at,
    }


def _count(connection: Connection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def drift_over_time(lake: Lake, limit: int = 100) -> list[tuple[datetime, int]]:
    """When full scans were merged and what each found that no event had announced, newest first."""
    rows = lake.read(
        "SELECT merged_at, drift FROM listings WHERE drift IS NOT NULL ORDER BY merged_at DESC LIMIT ?", [limit]
    )
    return [(row[0], int(row[1])) for row in rows]
