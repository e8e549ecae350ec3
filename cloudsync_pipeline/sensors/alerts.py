"""Tells people of integrations that failed, are held, incomplete, overdue or unusable, and when that is over."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.resources import FleetResource


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the webhook and the mail addresses of `alerts` which integrations are not well, and which are "
    "well again: once per change, and again at the next tick what could not be delivered.",
)
def alerts(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SkipReason:
    """Tell what is news."""
    from cloudsync_pipeline.alerts import tell

    configured = fleet.load()
    if configured.settings.alerts is None:
        return dg.SkipReason("No alerts are configured.")
    outcomes = tell(configured, lambda: wiring.open_control(configured.settings), datetime.now(UTC))
    for one in outcomes:
        if one.error:
            context.log.warning("%s: not everything could be told: %s", one.channel, one.error)
    told = "; ".join(f"{one.channel} told of {', '.join(one.told)}" for one in outcomes if one.told)
    failed = "; ".join(f"{one.channel} failed: {one.error}" for one in outcomes if one.error)
    return dg.SkipReason("; ".join(filter(None, (told, failed))) or "There is no news.")
