"""When runs are requested: each integration at its own interval, and only one that is due and free.

A tick reads the configuration, the control database and the unfinished runs, once each, however many
integrations there are. Dagster aims a schedule at one job, so there is one for each kind of run.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.jobs import backup, housekeeping, incremental_sync, maintenance, reconcile
from cloudsync_pipeline.launch import run_tags, unfinished
from cloudsync_pipeline.resources import ControlResource, FleetResource

if TYPE_CHECKING:
    from cloudsync_pipeline.control import Integration

EVERY_MINUTE = "* * * * *"


@dg.schedule(
    job=incremental_sync,
    cron_schedule=EVERY_MINUTE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests an incremental sync for each integration whose interval is over (5 minutes by default) and "
    "whose feed has something new, or which owes something that is due. "
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
        resting = asyncio.run(wiring.note_resting(configured, database, wanted, now))
    answer = _requests(context, configured, [one for one in wanted if one.name not in resting], now)
    if resting and isinstance(answer, dg.SkipReason):
        return dg.SkipReason(f"{answer.skip_message} Nothing is new in the feeds of {len(resting)} that were due.")
    return answer


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
    due = [one for one in _with_a_lake(control) if hour_of(one.name) == now.hour]
    return _upkeep(context, configured, due, now, "maintenance")


@dg.schedule(
    job=backup,
    cron_schedule="41 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests a backup for each integration whose newest is older than `database.backup_interval`, where "
    "`database.backup_enabled` is set.",
)
def backup_schedule(
    context: dg.ScheduleEvaluationContext, fleet: FleetResource, control: ControlResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Backups that one tick requests."""
    from cloudsync_pipeline.backup import lakes, scheduled

    configured, now = fleet.load(), _tick_time(context)
    if not configured.settings.database.backup_enabled:
        return dg.SkipReason("Backups are not enabled (`database.backup_enabled`).")
    due = [one for one in _with_a_lake(control) if scheduled.wanted(configured.settings, lakes.part(one.name), now)]
    return _upkeep(context, configured, due, now, "backup")


housekeeping_schedule = dg.ScheduleDefinition(
    name="housekeeping_schedule",
    job=housekeeping,
    cron_schedule="7 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Requests housekeeping of Dagster's own storage, and the backups that belong to no integration.",
)


def hour_of(name: str) -> int:
    """The hour (UTC) in which an integration is maintained: always the same, and different between integrations."""
    return zlib.crc32(name.encode()) % 24


def _with_a_lake(control: ControlResource) -> list[Integration]:
    """Without a first sync there is no lake to care for; a paused integration's still is."""
    from cloudsync_pipeline.control import IntegrationState

    with control.open() as database:
        return [one for one in database.list() if one.initial_done and one.state is not IntegrationState.REMOVED]


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
    return _named(configured, free, now)


def _upkeep(
    context: dg.ScheduleEvaluationContext, configured: Fleet, wanted: Iterable[Integration], now: datetime, kind: str
) -> list[dg.RunRequest] | dg.SkipReason:
    """Runs that wait in the queue behind a sync: whatever syncs or fails at each look would never get one else."""
    there = {run.integration for run in unfinished(context.instance) if run.kind == kind}
    names = [one.name for one in wanted if one.name in configured.integrations and one.name not in there]
    return _named(configured, names, now) if names else dg.SkipReason("No integration is due.")


def _named(configured: Fleet, names: Iterable[str], now: datetime) -> list[dg.RunRequest]:
    return [
        dg.RunRequest(
            run_key=f"{name}@{now:%Y-%m-%dT%H:%MZ}", partition_key=name, tags=run_tags(configured.integrations[name])
        )
        for name in names
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
