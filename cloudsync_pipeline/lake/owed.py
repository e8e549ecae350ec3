"""Debts as people see them: counted, listed, and made due again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from cloudsync_pipeline.core.retry import quarantine_until
from cloudsync_pipeline.lake.lake import Connection, Lake

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


def quarantine(
    connection: Connection, debts: Sequence[tuple[str, str, int]], quarantine_after: int, now: datetime
) -> None:
    """Within a commit: put debts (path, aspect, runs that failed) into quarantine, the longer the more failed."""
    if not debts:
        return
    until = pa.table(
        {
            "path": [path for path, _, _ in debts],
            "aspect": [aspect for _, aspect, _ in debts],
            "until": pa.array(
                [quarantine_until(now, attempts, quarantine_after) for _, _, attempts in debts],
                pa.timestamp("us", tz="UTC"),
            ),
        }
    )
    connection.register("quarantined", until)
    try:
        connection.execute(
            """
            UPDATE owed SET quarantined_at = coalesce(quarantined_at, ?), next_try = q.until
            FROM quarantined q WHERE q.path = owed.path AND q.aspect = owed.aspect
            """,
            [now],
        )
    finally:
        connection.unregister("quarantined")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A path that is not tried for now. `next_try` is None where only a person makes it due again."""

    path: str
    aspect: str
    error: str
    error_kind: str
    attempts: int
    since: datetime
    quarantined_at: datetime
    next_try: datetime | None


def quarantined(lake: Lake, *, limit: int, after: str | None = None) -> list[Quarantined]:
    """Quarantined paths with their reasons, by path, from behind `after` on."""
    rows = lake.read(
        """
        SELECT path, aspect, coalesce(last_error, ''), coalesce(last_error_kind, ''), attempts, since, quarantined_at,
               CASE WHEN isfinite(next_try) THEN next_try END
        FROM owed WHERE quarantined_at IS NOT NULL AND (? IS NULL OR path > ?)
        ORDER BY path, aspect LIMIT ?
        """,
        [after, after, limit],
    )
    return [Quarantined(*row) for row in rows]


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
