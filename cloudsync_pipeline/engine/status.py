"""What an integration's lake says of it now, for people."""

from __future__ import annotations

from datetime import datetime

from cloudsync_pipeline.engine.results import Status
from cloudsync_pipeline.lake import plans, runs
from cloudsync_pipeline.lake.lake import Lake


def status(lake: Lake, integration: str) -> Status:
    """One integration's state; reads only."""
    objects = lake.one("SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM objects") or (0, 0)
    files = lake.one("SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM files") or (0, 0)
    owed = lake.one(
        "SELECT count(DISTINCT path), count(DISTINCT path) FILTER (WHERE quarantined_at IS NOT NULL) FROM owed"
    ) or (0, 0)
    scanned_at = runs.get_meta(lake, "scanned_at")
    newest = runs.newest(lake, 10)
    return Status(
        integration=integration,
        objects=int(objects[0]),
        objects_bytes=int(objects[1]),
        files=int(files[0]),
        files_bytes=int(files[1]),
        owed=int(owed[0]),
        quarantined=int(owed[1]),
        held=held_deletes(lake),
        events=int(lake.scalar("SELECT count(*) FROM events") or 0),
        scanned_at=datetime.fromisoformat(scanned_at) if scanned_at else None,
        snapshot_id=lake.current_snapshot(),
        schema_version=int(runs.get_meta(lake, "schema_version") or 0),
        last_runs=tuple(
            (
                run.run_id,
                run.mode,
                run.verdict or "running",
                run.started_at,
                (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
            )
            for run in newest
        ),
    )


def held_deletes(lake: Lake) -> int:
    """Deletes that the newest plan holds and that are still owed."""
    plan = plans.newest(lake)
    if plan is None or plan.held == 0:
        return 0
    return int(
        lake.scalar(
            "SELECT count(*) FROM operations o SEMI JOIN owed w ON w.path = o.path AND w.aspect = 'content' "
            "WHERE o.plan_id = ? AND o.held",
            [plan.plan_id],
        )
        or 0
    )
