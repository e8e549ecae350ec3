"""Says of integrations that nothing completes for them any more: no run of theirs would."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg

from cloudsync_pipeline.assets import looks
from cloudsync_pipeline.assets.checks import OVERDUE
from cloudsync_pipeline.resources import ControlResource, FleetResource


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Evaluates the check `overdue` of each integration that became overdue, or is so no longer.",
)
def overdue_integrations(
    context: dg.SensorEvaluationContext, fleet: FleetResource, control: ControlResource
) -> dg.SensorResult:
    """Evaluations of what changed since the last tick."""
    from cloudsync_pipeline.control.overdue import overdue_since

    configured, now = fleet.load(), datetime.now(UTC)
    said = set(json.loads(context.cursor or "[]"))
    with control.open() as database:
        known = database.list()
    intervals = {name: config.sync.interval for name, config in configured.integrations.items()}
    late = {}
    for one in known:
        since = overdue_since(one, intervals[one.name], now) if one.name in intervals else None
        if since is not None:
            late[one.name] = since
    changed = sorted(late.keys() ^ said)
    return dg.SensorResult(
        cursor=json.dumps(sorted(late)),
        asset_events=[
            dg.AssetCheckEvaluation(
                asset_key=OVERDUE.asset_key,
                check_name=OVERDUE.name,
                partition=name,
                **looks.in_time(late.get(name), intervals.get(name, 0.0)).told(),
            )
            for name in changed
        ],
        skip_reason=f"Overdue: {', '.join(sorted(late))}." if late else "No integration is overdue.",
    )
