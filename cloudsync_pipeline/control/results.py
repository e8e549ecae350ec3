"""What a run's result means for its integration, and the history of results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.control import measures
from cloudsync_pipeline.control.records import Counts, Integration, Rest, RunResult
from cloudsync_pipeline.control.tables import run_results

KEPT = 200
"""Results kept for each integration; its lake has them all."""
INITIAL_BACKOFF = timedelta(minutes=5)
"""Until a failed initial sync is tried again; doubled with each failure, up to `INITIAL_BACKOFF_MOST`."""
INITIAL_BACKOFF_MOST = timedelta(hours=6)

_FULL_MODES = frozenset({"initial", "reconcile"})


def consequences(
    before: Integration,
    result: RunResult,
    *,
    counts: Counts | None,
    scan_started_at: datetime | None,
    next_incremental_at: datetime | None,
    next_scan_at: datetime | None,
    rest: Rest,
) -> Mapping[str, Any]:
    """The columns of its integration that a result changes. Arguments as of `Control.record_result`."""
    values: dict[str, Any] = {
        "last_run_id": result.run_id,
        "last_mode": result.mode,
        "last_verdict": result.verdict,
        "last_started_at": result.started_at,
        "last_finished_at": result.finished_at,
        "unfinished_since": None,
        "feed_mark": rest.feed_mark,
        "next_try_at": rest.next_try_at,
    }
    if rest.config_fingerprint is not None:
        values["config_fingerprint"] = rest.config_fingerprint
    if counts is not None:
        values |= asdict(counts)
    if result.verdict == "in_sync":
        values["last_success_at"] = result.finished_at
        values["put_off_until"] = None
    if next_incremental_at is not None:
        values["next_incremental_at"] = next_incremental_at
    if next_scan_at is not None:
        values["next_scan_at"] = next_scan_at
    if scan_started_at is not None:
        values["last_scan_at"] = result.finished_at
        if before.scan_requested_at is None or before.scan_requested_at <= scan_started_at:
            values |= {"scan_requested": False, "scan_requested_at": None, "scan_reason": None}
    return values | _initial_progress(before, result)


def _initial_progress(before: Integration, result: RunResult) -> dict[str, Any]:
    if before.initial_done or result.mode not in _FULL_MODES or result.verdict == "planned":
        return {}
    if result.verdict != "failed":
        return {"initial_done": True, "initial_attempts": 0, "initial_next_try": None}
    wait = min(INITIAL_BACKOFF * 2 ** min(before.initial_attempts, 20), INITIAL_BACKOFF_MOST)
    return {"initial_attempts": before.initial_attempts + 1, "initial_next_try": result.finished_at + wait}


def keep(connection: sa.Connection, result: RunResult) -> None:
    """Store a result in place of an earlier one of the same run, add it up, and drop those beyond `KEPT`."""
    t = run_results.c
    same = sa.and_(t.integration == result.integration, t.run_id == result.run_id)
    before = connection.execute(sa.select(run_results).where(same)).mappings().one_or_none()
    measures.add(connection, result, None if before is None else _result(before))
    connection.execute(run_results.delete().where(same))
    connection.execute(
        run_results.insert().values(**{**asdict(result), "results": json.dumps(dict(result.results), default=str)})
    )
    oldest_kept = (
        sa.select(t.finished_at)
        .where(t.integration == result.integration)
        .order_by(t.finished_at.desc())
        .offset(KEPT - 1)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(run_results.delete().where(t.integration == result.integration, t.finished_at < oldest_kept))


def newest(connection: sa.Connection, integration: str | None, limit: int) -> Sequence[RunResult]:
    """The newest results, newest first, of one integration or of all."""
    query = sa.select(run_results).order_by(run_results.c.finished_at.desc(), run_results.c.run_id).limit(limit)
    if integration is not None:
        query = query.where(run_results.c.integration == integration)
    return [_result(row) for row in connection.execute(query).mappings()]


def of_run(connection: sa.Connection, run_id: str) -> RunResult | None:
    """How a run ended; None where it has not, or is forgotten."""
    query = sa.select(run_results).where(run_results.c.run_id == run_id).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _result(row)


def _result(row: sa.RowMapping) -> RunResult:
    return RunResult(**{**row, "results": json.loads(row["results"])})
