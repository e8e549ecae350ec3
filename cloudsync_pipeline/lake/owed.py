"""Debts as people see them: counted, put off, and made due again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.retry import quarantine_until
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.rows import put_rows

_QUARANTINED_FIELDS: list[pa.Field[Any]] = [
    pa.field("path", pa.string()),
    pa.field("aspect", pa.string()),
    pa.field("until", pa.timestamp("us", tz="UTC")),
]
_QUARANTINED = pa.schema(_QUARANTINED_FIELDS)

DUE = """(next_try IS NULL OR next_try <= $now
          OR (isfinite(next_try) AND next_try > $now + INTERVAL 8 DAYS))"""
"""Whether a debt may be tried at `$now`. None waits longer than a week, unless a person said so (infinity): what
lies further away was written by a clock that was wrong."""


def unpaid(lake: Lake) -> int:
    """Owed paths that are not quarantined."""
    return int(
        lake.scalar(
            "SELECT count(DISTINCT path) FROM owed "
            "WHERE path NOT IN (SELECT path FROM owed WHERE quarantined_at IS NOT NULL)"
        )
        or 0
    )


def next_due(lake: Lake, now: datetime) -> datetime | None:
    """When the first of the debts may be tried (`now` or earlier: at once); None where none will be by itself.

    Permissions wait for content that is owed as well.
    """
    found: datetime | None = lake.scalar(
        f"""
        SELECT min(CASE WHEN {DUE} THEN since ELSE next_try END) FROM owed
        WHERE ({DUE} OR isfinite(next_try))
          AND (aspect = 'content' OR path NOT IN (SELECT path FROM owed WHERE aspect = 'content'))
        """,
        {"now": now},
    )
    return found


def quarantine(
    connection: Connection, debts: Sequence[tuple[str, str, int]], quarantine_after: int, now: datetime
) -> None:
    """Within a commit: put debts (path, aspect, runs that failed) into quarantine, the longer the more failed."""
    if not debts:
        return
    until = [
        {"path": path, "aspect": aspect, "until": quarantine_until(now, attempts, quarantine_after)}
        for path, aspect, attempts in debts
    ]
    put_rows(connection, "quarantined", _QUARANTINED, until)
    connection.execute(
        """
        UPDATE owed SET quarantined_at = coalesce(quarantined_at, ?), next_try = q.until
        FROM quarantined q WHERE q.path = owed.path AND q.aspect = owed.aspect
        """,
        [now],
    )


def clear_quarantine(lake: Lake, run_id: str, paths: Sequence[str] | None) -> int:
    """Make quarantined paths (all, or those named) due at once, with their failures forgotten; returns how many."""

    def work(connection: Connection) -> int:
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE freed AS
            SELECT path, aspect FROM owed
            WHERE (quarantined_at IS NOT NULL OR next_try IS NOT NULL)
              AND (? OR path IN (SELECT unnest(?::VARCHAR[])))
            """,
            [paths is None, list(paths or ())],
        )
        connection.execute(
            """
            UPDATE owed SET quarantined_at = NULL, next_try = NULL, attempts = 0
            FROM freed WHERE freed.path = owed.path AND freed.aspect = owed.aspect
            """
        )
        row = connection.execute("SELECT count(DISTINCT path) FROM freed").fetchone()
        return int(row[0]) if row else 0

    return lake.commit(work, run_id=run_id, step="retry", message="quarantine cleared")
