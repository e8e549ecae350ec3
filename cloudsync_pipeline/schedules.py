"""When runs are requested: each integration at its own interval, and only one that is due and free.

A tick reads the configuration, the control database and the unfinished runs, once each, however many
integrations there are. Dagster aims a schedule at one job, so there is one for each kind of run.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.control import Integration, IntegrationState
from cloudsync_pipeline.jobs import incremental_sync, maintenance, reconcile
from cloudsync_pipeline.launch import run_tags, unfinished
from cloudsync_pipeline.resources import ControlResource, FleetResource

EVERY_MINUTE = "* * * * *"


@dg.schedule(
    job=incremental_sync,
    cron_schedule=EVERY_MINUTE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests an incremental sync for each integration whose interval is over (5 minutes by default). "
    "Integrations without an event feed are reconciled at their interval instead.",
)
def incremental_schedule(
    context: dg.ScheduleEvaluationContext, fleet: FleetResource, control: ControlResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Incremental syncs that one tick requests."""
    configured, now = fleet.load(), _tick_time(context)
    with control.open() as database:
        due = database.due(now, "incremental")
        scans = {one.name for one in database.due(now, "reconcile")}
    # A scan that is due as well brings over more than the events name.
    wanted = [one for one in due if one.name not in scans and _has_feed(configured, one.name)]
    return _requests(context, configured, wanted, now)


@dg.schedule(
    job=reconcile,
    cron_schedule=EVERY_MINUTE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests a full scan for each integration whose next one is due, or that lost events "
    "(daily by default; at every interval where there is no event feed).",
)
def reconcile_schedule(
    context: dg.ScheduleEvaluationContext, fleet: FleetResource, control: ControlResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Full scans that one tick requests."""
    configured, now = fleet.load(), _tick_time(context)
    with control.open() as database:
        due = database.due(now, "reconcile")
    return _requests(context, configured, due, now)


@dg.schedule(
    job=maintenance,
    cron_schedule="23 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests maintenance for each integration once a day, spread over its hours.",
)
def maintenance_schedule(
    context: dg.ScheduleEvaluationContext, fleet: FleetResource, control: ControlResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Maintenance that one tick requests."""
    configured, now = fleet.load(), _tick_time(context)
    with control.open() as database:
        # Without a first sync there is no lake to maintain. A paused integration's lake still is.
        known = [one for one in database.list() if one.initial_done and one.state is not IntegrationState.REMOVED]
    return _requests(context, configured, [one for one in known if hour_of(one.name) == now.hour], now)


def hour_of(name: str) -> int:
    """The hour (UTC) in which an integration is maintained: always the same, and different between integrations."""
    return zlib.crc32(name.encode()) % 24


def _requests(
    context: dg.ScheduleEvaluationContext, configured: Fleet, wanted: Iterable[Integration], now: datetime
) -> list[dg.RunRequest] | dg.SkipReason:
    wanted = [one for one in wanted if one.name in configured.integrations and not _cooling(configured, one, now)]
    if not wanted:
        return dg.SkipReason("No integration is due.")
    busy = {run.integration for run in unfinished(context.instance)}
    free = [one.name for one in wanted if one.name not in busy]
    if not free:
        return dg.SkipReason(f"All that are due have a queued or running run: {', '.join(o.name for o in wanted)}.")
    return [
        dg.RunRequest(
            run_key=f"{name}@{now:%Y-%m-%dT%H:%MZ}", partition_key=name, tags=run_tags(configured.integrations[name])
        )
        for name in free
    ]


def _cooling(configured: Fleet, integration: Integration, now: datetime) -> bool:
    """A failed run is followed by another one after its interval, whatever made it due: not at every tick."""
    if integration.last_verdict != "failed" or integration.last_finished_at is None:
        return False
    interval = configured.integrations[integration.name].sync.interval
    return now < integration.last_finished_at + timedelta(seconds=interval)


def _has_feed(configured: Fleet, name: str) -> bool:
    return name in configured.integrations and configured.integrations[name].feed is not None


def _tick_time(context: dg.ScheduleEvaluationContext) -> datetime:
    return context.scheduled_execution_time.astimezone(UTC)
