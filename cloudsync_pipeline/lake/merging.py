"""A complete listing into `objects`; and in the same commit, what is owed because of it.

Memory grows neither with what stayed as it was nor with what changed: listing and objects are first compared by one
number a row, only what that leaves is looked at with its names, and by spans of keys where that is much.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cloudsync_pipeline.core.errors import SnapshotGone
from cloudsync_pipeline.lake import buckets, runs
from cloudsync_pipeline.lake.attach import literal
from cloudsync_pipeline.lake.buckets import within
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.observing import COLUMNS, EQUAL, OBJECT_IS_BACK, PARKED, Listing, Merged

# One number of what makes an object and its file equal (`EQUAL`).
_STATE_OF_OBJECT, _STATE_OF_FILE = "hash(key, size, etag)", "hash(path, size, source_etag)"
# To the second, which is all that a HEAD gives; `date_trunc` of a time with a zone would ask its calendar.
_SECOND = "epoch_us({0}.last_modified) // 1000000"


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
        with lake.looking_through(listing.objects):
            return merge(connection)

    def merge(connection: Connection) -> Merged:
        _find_changed(connection, listing, undisturbed=undisturbed)
        merged = _change_objects(connection)
        if (merged.added or merged.changed) and _any(connection, "FROM owed WHERE next_try IS NOT NULL"):
            connection.execute(OBJECT_IS_BACK.format("SELECT key FROM incoming"))
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
        return Merged(merged.added, merged.changed, merged.removed, drift)

    return lake.commit(
        work,
        run_id=run_id,
        step="snapshot",
        message=f"listing {listing.listing_id} of {listing.objects} objects",
        # That no key of `objects` stands twice is seen to by `_find_changed`, in the same scan of the keys.
        unique=("owed",),
        rows=listing.objects,
    )


def _snapshot_there(lake: Lake, snapshot: int | None) -> int | None:
    """The snapshot, where its tables can still be read."""
    if snapshot is None:
        return None
    try:
        return lake.as_of(snapshot)
    except SnapshotGone:
        return None


def _find_changed(connection: Connection, listing: Listing, *, undisturbed: bool) -> None:
    """`incoming`, rows of the listing that are new or other than their object (`known`); `vanished(key)`.

    Where much is unlike, it is looked at by spans of keys: what one of them takes does not grow with all.

    Args:
        undisturbed: no object was observed since the listing began, whatever the storage's clock says.
    """
    parts = "[" + ", ".join(literal(str(part)) for part in listing.parts) + "]"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW listed AS SELECT * FROM read_parquet({parts})")
    if not _any(connection, "FROM objects"):
        connection.execute("CREATE OR REPLACE TEMP TABLE incoming AS SELECT *, false AS known FROM listed")
        connection.execute("CREATE OR REPLACE TEMP TABLE vanished (key VARCHAR)")
        _keep_later(connection)
        return
    # A listing without versions says nothing against that of an object.
    version = ", {0}.version_id" if _any(connection, "FROM listed WHERE version_id IS NOT NULL") else ""
    state = "hash({0}.key, {0}.size, {0}.etag, " + _SECOND + version + ")"
    # Numbers alone, whatever the rows hold: this is what memory is taken for where little changed.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE unmatched AS
        SELECT l.part, l.place, o.object
        FROM (SELECT {state.format("o")} AS state, rowid AS object FROM objects o) o
        FULL JOIN (SELECT {state.format("l")} AS state, file_index AS part, file_row_number AS place
                   FROM read_parquet({parts}, file_row_number = true) l) l
            ON l.state = o.state
        WHERE l.state IS NULL OR o.state IS NULL
        """
    )
    into = "CREATE OR REPLACE TEMP TABLE {} AS"
    unmatched = _count(connection, "SELECT count(*) FROM unmatched")
    keys = "(SELECT key AS path FROM objects UNION ALL SELECT key FROM listed)"
    for span in buckets.spans(connection, keys, unmatched, wide=False):
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE unlike AS
            SELECT l.* EXCLUDE (part, place)
            FROM (SELECT *, file_index AS part, file_row_number AS place
                  FROM read_parquet({parts}, file_row_number = true)) l
            SEMI JOIN (SELECT part, place FROM unmatched WHERE place IS NOT NULL) u USING (part, place)
            WHERE {within("key")}
            """,
            span.ends,
        )
        # A storage that is changed while it is listed may show a key on two pages: one of them may be as it was known.
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE known_objects AS
            SELECT key, size, etag, last_modified, version_id, observed_at FROM objects
            WHERE {within("key")}
              AND (rowid IN (SELECT object FROM unmatched WHERE object IS NOT NULL) OR key IN (SELECT key FROM unlike))
            """,
            span.ends,
        )
        connection.execute(
            f"""
            {into.format("incoming")}
            SELECT l.*, o.key IS NOT NULL AS known
            FROM unlike l LEFT JOIN known_objects o ON o.key = l.key
            WHERE o.key IS NULL
               OR ((? OR o.observed_at <= l.observed_at)
                   AND (o.etag <> l.etag OR o.size <> l.size
                        OR {_SECOND.format("o")} IS DISTINCT FROM {_SECOND.format("l")}
                        OR (l.version_id IS NOT NULL AND o.version_id IS DISTINCT FROM l.version_id)))
            """,
            [undisturbed],
        )
        connection.execute(
            f"""
            {into.format("vanished")}
            SELECT o.key FROM known_objects o ANTI JOIN unlike l ON l.key = o.key
            WHERE ? OR o.observed_at <= ?
            """,
            [undisturbed, listing.observed_from],
        )
        into = "INSERT INTO {}"
    _keep_later(connection)


def _keep_later(connection: Connection) -> None:
    """Of two pages that show a key, the later look counts."""
    # By one number a key: where two keys share theirs, nothing is lost but time.
    if _any(connection, "FROM incoming GROUP BY hash(key) HAVING count(*) > 1"):
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE incoming AS SELECT * FROM incoming
            QUALIFY row_number() OVER (PARTITION BY key ORDER BY observed_at DESC) = 1
            """
        )


def _change_objects(connection: Connection) -> Merged:
    added = _count(connection, "SELECT count(*) FROM incoming WHERE NOT known")
    changed = _count(connection, "SELECT count(*) FROM incoming WHERE known")
    removed = _count(connection, "SELECT count(*) FROM vanished")
    if changed or removed:
        connection.execute(
            "DELETE FROM objects WHERE key IN (SELECT key FROM incoming WHERE known UNION ALL SELECT key FROM vanished)"
        )
    if added or changed:
        # Sorted, for whoever reads only a part; and each span by itself, as all of them take more memory.
        for span in buckets.spans(connection, "(SELECT key AS path FROM incoming)", added + changed):
            connection.execute(
                f"INSERT INTO objects ({COLUMNS}) SELECT {COLUMNS} FROM incoming WHERE {within('key')} ORDER BY key",
                span.ends,
            )
    return Merged(added, changed, removed)


def _owe_differences(
    connection: Connection, listing: Listing, begun: int | None, *, keep_deleted: bool, now: datetime
) -> int:
    """Bring `owed` in line with the difference of `objects` and `files`; returns how many debts are new."""
    gone = f"(o.key IS NULL AND NOT {PARKED})" if keep_deleted else "false"
    begun_at = listing.begun_at
    if _any(connection, "FROM owed WHERE aspect = 'content'"):
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
    _find_differences(connection, gone)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE missed AS
        SELECT d.path, d.reason FROM differences d
        ANTI JOIN (SELECT path FROM owed WHERE aspect = 'content') w ON w.path = d.path
        """
    )
    missed = _count(connection, "SELECT count(*) FROM missed")
    for span in buckets.spans(connection, "missed", missed, wide=False):
        connection.execute(
            f"""
            INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
            SELECT path, 'content', $now, $begun, $begun, reason, 0 FROM missed WHERE {within("path")} ORDER BY path
            """,
            {"now": now, "begun": begun_at, **span.ends},
        )
    return missed


def _find_differences(connection: Connection, gone: str) -> None:
    """`differences(path, reason)`: where an object and its file are not the same."""
    connection.execute("CREATE OR REPLACE TEMP TABLE differences (path VARCHAR, reason VARCHAR)")
    if not _any(connection, "FROM files"):
        connection.execute("INSERT INTO differences SELECT key, 'scan: new' FROM objects")
        return
    unlike = "(SELECT count(*) FROM incoming) + (SELECT count(*) FROM vanished) + (SELECT count(*) FROM owed)"
    keys = "(SELECT key AS path FROM objects UNION ALL SELECT path FROM files)"
    spans = buckets.spans(connection, keys, _count(connection, f"SELECT {unlike}"), wide=False)
    if len(spans) == 1 and _differ_where_named(connection):
        _compare(connection, "named_objects", "named_files", gone)
        return
    # As in `_find_changed`: one number a row finds what is unlike, and its names tell how.
    for span in spans:
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE unequal AS
            SELECT o.key, o.size, o.etag, f.place
            FROM (SELECT {_STATE_OF_OBJECT} AS state, key, size, etag FROM objects WHERE {within("key")}) o
            FULL JOIN (SELECT {_STATE_OF_FILE} AS state, rowid AS place
                       FROM files WHERE {within("path")}) f ON f.state = o.state
            WHERE f.state IS NULL OR o.state IS NULL
            """,
            span.ends,
        )
        unequal_files = f"""
            (SELECT path, size, source_etag, op_id FROM files
             SEMI JOIN (SELECT place FROM unequal WHERE place IS NOT NULL) u ON u.place = files.rowid
             WHERE {within("path")})
        """
        unequal_objects = "(SELECT key, size, etag FROM unequal WHERE key IS NOT NULL)"
        _compare(connection, unequal_objects, unequal_files, gone, span.ends)


def _differ_where_named(connection: Connection) -> bool:
    """Whether objects and files are the same but for paths that this listing changed or that are owed already: these
    are in `named_objects` and `named_files`.

    All others are summed up on both sides, which takes a quarter of the time of joining them. In a bucket that did not
    change much, and was synced, the sums are alike: so it is with most scans.
    """
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE named AS
        SELECT key AS path FROM incoming UNION SELECT key FROM vanished
        UNION SELECT path FROM owed WHERE aspect = 'content'
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE named_objects AS
        SELECT key, size, etag FROM incoming
        UNION ALL
        SELECT key, size, etag FROM objects
        WHERE key IN (SELECT path FROM named
                      ANTI JOIN (SELECT key FROM incoming UNION ALL SELECT key FROM vanished) c ON c.key = named.path)
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE named_files AS
        SELECT path, size, source_etag, op_id FROM files WHERE path IN (SELECT path FROM named)
        """
    )
    objects, named_objects = (_sum_of(connection, _STATE_OF_OBJECT, table) for table in ("objects", "named_objects"))
    files, named_files = (_sum_of(connection, _STATE_OF_FILE, table) for table in ("files", "named_files"))
    return objects - named_objects == files - named_files


def _compare(
    connection: Connection, objects: str, files: str, gone: str, params: Mapping[str, str | None] | None = None
) -> None:
    """Into `differences`, by names, what differs between some objects and all files that could be theirs."""
    connection.execute(
        f"""
        INSERT INTO differences
        SELECT coalesce(o.key, f.path) AS path,
               CASE WHEN f.path IS NULL THEN 'scan: new' WHEN o.key IS NULL THEN 'scan: vanished'
                    ELSE 'scan: changed' END AS reason
        FROM {objects} o FULL JOIN {files} f ON f.path = o.key
        WHERE NOT {EQUAL} AND NOT {gone}
        """,
        params or {},
    )


def _sum_of(connection: Connection, state: str, table: str) -> int:
    return _count(connection, f"SELECT coalesce(sum({state}), 0) FROM {table}")


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


def _any(connection: Connection, rows: str) -> bool:
    return connection.execute(f"SELECT 1 {rows} LIMIT 1").fetchone() is not None


def _count(connection: Connection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
