"""Finds integrations that were configured, and sees to it that each gets its initial sync."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.jobs import initial_sync
from cloudsync_pipeline.launch import run_tags, unfinished
from cloudsync_pipeline.partitions import INTEGRATIONS, integrations
from cloudsync_pipeline.resources import ControlResource, FleetResource

if TYPE_CHECKING:
    from cloudsync_pipeline.control import Control
    from cloudsync_pipeline.control.records import Integration


@dg.sensor(
    job=initial_sync,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds a partition for each integration that was configured, and requests its initial sync: one at a "
    "time, and again with growing waits until one succeeded. Partitions of removed integrations go; a file that "
    "merely vanished or broke changes nothing but that integration's schedule.",
)
def new_integrations(
    context: dg.SensorEvaluationContext, fleet: FleetResource, control: ControlResource
) -> dg.SensorResult:
    """What one tick adds, removes and requests."""
    from cloudsync_pipeline.control.records import IntegrationState

    configured, now = fleet.load(), datetime.now(UTC)
    for name, error in configured.errors.items():
        context.log.warning("%s is left out until its configuration is corrected: %s", name, error)
    with control.open() as database:
        known = _registered(database, configured)
        due = database.due(now, "initial")
    present = set(context.instance.get_dynamic_partitions(INTEGRATIONS))
    busy = {run.integration for run in unfinished(context.instance)}

    removed = {name for name, one in known.items() if one.state is IntegrationState.REMOVED}
    added = [name for name in configured.integrations if name not in removed | present]
    gone = sorted(removed & present - busy)
    requests = [
        dg.RunRequest(run_key=_run_key(one), partition_key=one.name, tags=run_tags(configured.integrations[one.name]))
        for one in due
        if one.name in configured.integrations
        and configured.integrations[one.name].sync.initial_sync_on_startup
        and one.name not in busy
    ]
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        changes.append(integrations.build_add_request(added))
    if gone:
        changes.append(integrations.build_delete_request(gone))
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=changes,
        skip_reason=None if requests else _why_not(configured, due),
    )


def _registered(database: Control, configured: Fleet) -> dict[str, Integration]:
    known = {one.name: one for one in database.list()}
    for name in configured.integrations:
        if name not in known:
            known[name] = database.ensure(name)
    return known


def _run_key(one: Integration) -> str:
    # Dagster starts nothing twice for one key. A failed attempt is recorded, by the run or by `failed_runs`, and
    # counts the attempts up; being removed and added again starts the count anew, under another time.
    return f"initial/{one.name}/{one.state_changed_at:%Y%m%dT%H%M%SZ}/{one.initial_attempts}"


def _why_not(configured: Fleet, due: object) -> str:
    text = "No integration needs an initial sync now." if not due else "Those that need an initial sync are at it."
    if configured.errors:
        text += f" Not usable: {', '.join(sorted(configured.errors))} (see the log of this tick)."
    return text
