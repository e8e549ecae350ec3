"""Within a planning: the debts that are due, what is known of their paths, and what would pay each of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cloudsync_pipeline.lake import buckets
from cloudsync_pipeline.lake.buckets import Span, within
from cloudsync_pipeline.lake.lake import Connection
from cloudsync_pipeline.lake.observing import EQUAL, NOT_CONTENT, PARKED
from cloudsync_pipeline.lake.owed import DUE

FEW = 10_000
"""Up to so many debts, their paths are looked for first, and what else is known of them is read only where they lie."""


def look_up(connection: Connection, now: datetime, *, failed_in: str | None) -> Sequence[Span]:
    """`debts` that are to be planned; returns the spans of paths in which they can be looked at in memory.

    Args:
        failed_in: a run; what it tried in vain is left to the next one.
    """
    _find_failed(connection, failed_in)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE debts AS
        SELECT path, aspect, reason, attempts, last_error_kind FROM owed
        ANTI JOIN failed_before USING (path, aspect)
        WHERE (aspect = 'permissions' OR observed_at IS NOT NULL) AND {DUE}
        """,
        {"now": now},
    )
    found = connection.execute("SELECT count(*) FROM debts").fetchone()
    return buckets.spans(connection, "debts", found[0] if found else 0)


def classify(
    connection: Connection, spans: Sequence[Span], *, keep_deleted: bool, delete: bool, etag_may_be_md5: bool
) -> None:
    """`due`: the debts of content, with what is known of their paths, and what would pay each.

    Of the large tables only these columns are read, where they are sorted by path.
    """
    few = _few_debts(connection)
    may_be_md5 = "regexp_full_match(o.etag, '[0-9a-f]{32}')" if etag_may_be_md5 else "false"
    into = "CREATE OR REPLACE TEMP TABLE due AS"
    for span in spans:
        connection.execute(
            f"""
            {into}
            WITH mine AS (SELECT * FROM debts WHERE aspect = 'content' AND {within("path")})
            SELECT w.path, w.reason, coalesce(w.attempts, 0) AS attempts, w.last_error_kind,
                   CASE WHEN {EQUAL} THEN 'paid'
                        WHEN o.key IS NULL AND f.path IS NULL THEN 'paid'
                        WHEN o.key IS NULL AND ($keep OR NOT $delete) AND NOT {PARKED} THEN 'paid'
                        WHEN o.key IS NULL THEN 'delete'
                        WHEN f.path IS NULL THEN 'create'
                        ELSE 'update' END AS kind,
                   o.size, o.etag, o.version_id, o.content_type,
                   CASE WHEN o.fingerprint_kind = '{NOT_CONTENT}' THEN NULL
                        WHEN o.fingerprint_kind IS NOT NULL THEN o.fingerprint_kind
                        WHEN {may_be_md5} THEN 'md5' END AS fingerprint_kind,
                   CASE WHEN o.fingerprint_kind = '{NOT_CONTENT}' THEN NULL
                        WHEN o.fingerprint_kind IS NOT NULL THEN o.fingerprint_value
                        WHEN {may_be_md5} THEN o.etag END AS fingerprint_value,
                   f.internal_id, f.size AS file_size, f.fingerprint_kind AS file_kind,
                   f.fingerprint_value AS file_value
            FROM mine w
            LEFT JOIN (
                SELECT key, size, etag, version_id, content_type, fingerprint_kind, fingerprint_value FROM objects
                SEMI JOIN {_there("objects", "key", few)} m ON m.path = objects.key WHERE {within("key")}
            ) o ON o.key = w.path
            LEFT JOIN (
                SELECT path, internal_id, size, source_etag, fingerprint_kind, fingerprint_value, op_id FROM files
                SEMI JOIN {_there("files", "path", few)} m ON m.path = files.path WHERE {within("path")}
            ) f ON f.path = w.path
            """,
            {"keep": keep_deleted, "delete": delete, **span.ends},
        )
        into = "INSERT INTO due"


def _few_debts(connection: Connection) -> bool:
    found = connection.execute("SELECT count(*) FROM debts").fetchone()
    return found is not None and found[0] <= FEW


def _there(table: str, column: str, few: bool) -> str:
    """The paths of `mine`; where they are few, those that the table has: it is read from the first to the last of them,
    and paths that it does not have, such as those of new objects, would stretch that over all of it.
    """
    if not few:
        return "mine"
    return f"(SELECT {column} AS path FROM {table} SEMI JOIN mine ON mine.path = {table}.{column})"


def _find_failed(connection: Connection, run_id: str | None) -> None:
    """`failed_before(path, aspect)`: what this run tried in vain."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE failed_before AS
        SELECT unnest(list_filter([path, new_path], p -> p IS NOT NULL)) AS path,
               CASE WHEN kind IN ('set_permissions', 'read_permissions') THEN 'permissions' ELSE 'content' END AS aspect
        FROM outcomes WHERE run_id = ? AND status IN ('failed', 'quarantined')
        """
        if run_id is not None
        else "CREATE OR REPLACE TEMP TABLE failed_before (path VARCHAR, aspect VARCHAR)",
        [run_id] if run_id is not None else [],
    )
