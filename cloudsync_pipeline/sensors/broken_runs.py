"""Makes sure that a run which could not report for itself is known to have failed, and frees its slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.assets.recording import record_failed
from cloudsync_pipeline.core.rules import LEASE
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.partitions import KIND_TAG, PARTITION_TAG
from cloudsync_pipeline.resources import ControlResource, FleetResource

SILENCE = timedelta(seconds=LEASE)
"""Without a heartbeat for so long a run counts as dead, and others may take its lock; it gives one every 5 seconds."""


@dg.run_failure_sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records a failed run that broke before it could report, so that status shows it and the next "
    "attempt waits its turn.",
)
def failed_runs(
    context: dg.RunFailureSensorContext, fleet: FleetResource, control: ControlResource
) -> dg.SkipReason | None:
    """Record one failed run."""
    reason, kind = context.failure_event.message or "The run failed.", None
    for event in context.get_step_failure_events():
        reason, kind = _reason(event)
        break
    return _record(context, fleet, control, reason, kind)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Records a run that was terminated or taken out of the queue, so that its integration is due again.",
)
def canceled_runs(
    context: dg.RunStatusSensorContext, fleet: FleetResource, control: ControlResource
) -> dg.SkipReason | None:
    """Record one canceled run."""
    return _record(context, fleet, control, "The run was canceled.", None)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports runs as failed whose process died without a word (no heartbeat of their lock), so that "
    "they free their integration and their place among the concurrent runs.",
)
def dead_runs(context: dg.SensorEvaluationContext, fleet: FleetResource, control: ControlResource) -> dg.SkipReason:
    """Report the runs that are found dead."""
    settings, now = fleet.load().settings, datetime.now(UTC)
    reported = []
    with control.open() as database:
        for beat in database.heartbeats.all(before=now - SILENCE):
            held = wiring.lock_holder(settings, beat.integration, database)
            if held is not None and held.alive and held.run_id == beat.run_id:
                # Nobody could take its lock over: its process lives here, or its lease (by the database's own clock)
                # has not expired.
                continue
            run = context.instance.get_run_by_id(beat.run_id)
            if run is not None and not run.is_finished:
                text = f"{beat.holder} gave no sign of life since {beat.at:%Y-%m-%d %H:%M:%S} UTC: it died."
                context.instance.report_run_failed(run, text)
                reported.append(beat.run_id)
            database.heartbeats.end(beat.integration, run_id=beat.run_id)
    return dg.SkipReason(f"Reported as failed: {', '.join(reported)}." if reported else "No run died.")


def _record(
    context: dg.RunStatusSensorContext,
    fleet: FleetResource,
    control: ControlResource,
    reason: str,
    error_kind: str | None,
) -> dg.SkipReason | None:
    run = context.dagster_run
    name = run.tags.get(PARTITION_TAG)
    kind = run.tags.get(KIND_TAG, Mode.INCREMENTAL.value)
    if name is None or kind not in set(Mode):
        return dg.SkipReason(f"Run {run.run_id} was no sync.")
    times = context.instance.get_run_record_by_id(run.run_id)
    ended = _time(times.end_time if times else None) or datetime.now(UTC)
    with control.open() as database:
        recorded = record_failed(
            database,
            fleet.load(),
            name,
            run_id=run.run_id,
            mode=Mode(kind),
            started_at=_time(times.start_time if times else None) or ended,
            finished_at=ended,
            error=reason,
            error_kind=error_kind,
        )
    return None if recorded else dg.SkipReason(f"Run {run.run_id} of {name} is recorded already, or not of this fleet.")


def _reason(event: dg.DagsterEvent) -> tuple[str, str | None]:
    """What a failed step says, and the name of our error where it is one of ours."""
    data = event.step_failure_data
    told = data.user_failure_data
    if told is not None and told.description:
        kind = told.metadata.get("error")
        return told.description, str(kind.value) if kind is not None else None
    if data.error is not None:
        cause = data.error.cause or data.error
        return cause.message.strip().splitlines()[-1], cause.cls_name
    return event.message or "A step failed.", None


def _time(timestamp: float | None) -> datetime | None:
    return datetime.fromtimestamp(timestamp, UTC) if timestamp else None
