"""What is known of the storage: how much, and what single keys were found to be, into `objects`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.owed import DUE, quarantine
from cloudsync_pipeline.lake.rows import put_rows

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

OBJECT_IS_BACK = """
    UPDATE owed SET next_try = NULL
    WHERE aspect = 'content' AND next_try IS NOT NULL AND path IN ({0})
"""
"""Makes debts due at once whose object is there, and was not as it is now when they were put off."""

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
_UNANSWERED_FIELDS: list[pa.Field[Any]] = [pa.field(name, pa.string()) for name in ("path", "error", "error_kind")]
_UNANSWERED = pa.schema(_UNANSWERED_FIELDS)


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


def looked_through(lake: Lake) -> int:
    """Of objects or of files, whichever are more: so many are looked through for keys that lie anywhere."""
    return int(lake.scalar("SELECT greatest((SELECT count(*) FROM objects), (SELECT count(*) FROM files))"))


def is_merged(lake: Lake, listing_id: str) -> bool:
    """Whether a listing is in the state already."""
    return lake.one("SELECT 1 FROM listings WHERE listing_id = ?", [listing_id]) is not None


def keys_to_observe(lake: Lake, now: datetime, *, after: str | None = None, limit: int = 1000) -> list[str]:
    """Owed keys that were named since the storage was last asked about them, in order, after `after`."""
    rows = lake.read(
        f"""
        SELECT path FROM owed
        WHERE aspect = 'content' AND observed_at IS NULL AND ({DUE} OR NOT isfinite(next_try))
          AND ($after IS NULL OR path > $after)
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
    seen = [_seen_row(observation) for observation in observations]
    asked_at = min(observation.asked_at for observation in observations)

    def work(connection: Connection) -> Merged:
        put_rows(connection, "seen", _SEEN, seen)
        with lake.looking_through(rows):
            _find_met(connection)
        return _observe(connection, asked_at, now)

    said, rows = f"{len(observations)} keys", looked_through(lake)
    return lake.commit(work, run_id=run_id, step="observe", message=said, unique=("objects",), rows=rows)


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
    rows = [{"path": one.key, "error": str(one.error), "error_kind": type(one.error).__name__} for one in unanswered]

    def work(connection: Connection) -> None:
        put_rows(connection, "unanswered", _UNANSWERED, rows)
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

    lake.commit(work, run_id=run_id, step="observe", message=f"{len(unanswered)} keys without an answer")


def _find_met(connection: Connection) -> None:
    """`met`: those of the objects `seen` that were known, as they were."""
    # A join reads the other columns from the first to the last of its keys: the keys of new objects, which may lie
    # anywhere, are left out of it first.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE met AS
        SELECT key, size, etag FROM objects SEMI JOIN (SELECT key FROM objects SEMI JOIN seen USING (key)) USING (key)
        """
    )


def _observe(connection: Connection, asked_at: datetime, now: datetime) -> Merged:
    row = connection.execute(
        """
        SELECT count(*) FILTER (WHERE s.present AND o.key IS NULL),
               count(*) FILTER (WHERE s.present AND (o.etag <> s.etag OR o.size <> s.size)),
               count(*) FILTER (WHERE NOT s.present AND o.key IS NOT NULL)
        FROM seen s LEFT JOIN met o ON o.key = s.key
        """
    ).fetchone() or (0, 0, 0)
    connection.execute("DELETE FROM objects WHERE key IN (SELECT key FROM met)")
    connection.execute(f"INSERT INTO objects ({COLUMNS}) SELECT {COLUMNS} FROM seen WHERE present")
    connection.execute(
        "UPDATE owed SET observed_at = ? WHERE aspect = 'content' AND path IN (SELECT key FROM seen)", [asked_at]
    )
    connection.execute(OBJECT_IS_BACK.format("SELECT key FROM seen WHERE present"))
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


def drift_over_time(lake: Lake, limit: int = 100) -> list[tuple[datetime, int]]:
    """When full scans were merged and what each found that no event had announced, newest first."""
    rows = lake.read(
        "SELECT merged_at, drift FROM listings WHERE drift IS NOT NULL ORDER BY merged_at DESC LIMIT ?", [limit]
    )
    return [(row[0], int(row[1])) for row in rows]
