"""Assembles what Dagster loads. Reads no configuration and no network: both are for runs and ticks."""

from __future__ import annotations

import dagster as dg

from cloudsync_pipeline import jobs, schedules
from cloudsync_pipeline.assets import applied, observed
from cloudsync_pipeline.assets.checks import checks
from cloudsync_pipeline.resources import (
    ControlResource,
    EventFeedResource,
    FileManagerResource,
    FleetResource,
    LakeResource,
    RunOptions,
    SessionResource,
    StorageResource,
)
from cloudsync_pipeline.sensors.alerts import alerts
from cloudsync_pipeline.sensors.broken_runs import canceled_runs, dead_runs, failed_runs
from cloudsync_pipeline.sensors.new_integrations import new_integrations
from cloudsync_pipeline.sensors.overdue import overdue_integrations

ASSETS = [
    observed.bucket_listing,
    observed.change_events,
    observed.state_snapshot,
    applied.state_diff,
    applied.executed_operations,
    applied.sync_report,
]


def resources(config: str | None = None) -> dict[str, object]:
    """The resources of one deployment.

    Args:
        config: the main configuration file; found as `FleetResource` says when it is None.
    """
    fleet = FleetResource(path=config)
    control = ControlResource(fleet=fleet)
    return {
        "fleet": fleet,
        "storage": StorageResource(fleet=fleet),
        "file_manager": FileManagerResource(fleet=fleet),
        "event_feed": EventFeedResource(fleet=fleet),
        "lake": LakeResource(fleet=fleet),
        "control": control,
        "session": SessionResource(fleet=fleet, control=control),
        "options": RunOptions.configure_at_launch(),
    }


def assemble(config: str | None = None) -> dg.Definitions:
    """Everything, for one deployment; see `resources`."""
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=checks,
        jobs=[
            jobs.initial_sync,
            jobs.reconcile,
            jobs.incremental_sync,
            jobs.maintenance,
            jobs.backup,
            jobs.housekeeping,
        ],
        schedules=[
            schedules.incremental_schedule,
            schedules.reconcile_schedule,
            schedules.maintenance_schedule,
            schedules.backup_schedule,
            schedules.housekeeping_schedule,
        ],
        sensors=[new_integrations, failed_runs, canceled_runs, dead_runs, overdue_integrations, alerts],
        resources=resources(config),
        # A step in a process of its own costs seconds; transfers run side by side within one anyway.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What a code location loads."""
    return assemble()
