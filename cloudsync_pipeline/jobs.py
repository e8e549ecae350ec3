"""Which assets a run materializes, and what sets its kinds apart in the queue."""

# Dagster reads the annotations of what it decorates: they must not be strings (`from __future__ import annotations`).

from datetime import UTC, datetime, timedelta

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.assets.checks import checks, ends, sample
from cloudsync_pipeline.assets.failures import as_failures
from cloudsync_pipeline.assets.logfile import logged
from cloudsync_pipeline.partitions import KIND_TAG, SCAN_TAG, integrations
from cloudsync_pipeline.resources import FleetResource, LakeResource

_FROM_STATE = dg.AssetSelection.assets("state_snapshot", "state_diff", "executed_operations", "sync_report")
_FROM_LISTING = dg.AssetSelection.assets("bucket_listing") | _FROM_STATE
_FROM_EVENTS = dg.AssetSelection.assets("change_events") | _FROM_STATE

# These ask the customer's and the company's servers: once a scan is seldom enough, at every interval is not.
_ASKING = dg.AssetSelection.checks(ends, sample)

# A scan of a large bucket takes hours: whoever waits for a small change must not wait behind it.
_SCAN = {SCAN_TAG: "full", "dagster/priority": "-10"}

initial_sync = dg.define_asset_job(
    "initial_sync",
    selection=_FROM_LISTING,
    description="The first sync of an integration: lists its whole bucket and brings every object over.",
    run_tags={KIND_TAG: "initial", **_SCAN},
)

reconcile = dg.define_asset_job(
    "reconcile",
    selection=_FROM_LISTING,
    description="Lists the whole bucket again and proves that no event was missed; what was, is brought over.",
    run_tags={KIND_TAG: "reconcile", **_SCAN},
)

incremental_sync = dg.define_asset_job(
    "incremental_sync",
    selection=_FROM_EVENTS - _ASKING,
    description="Takes what the event feed has, and brings over what it names and whatever else is owed.",
    run_tags={KIND_TAG: "incremental"},
)


@dg.op
def maintain_lake(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Forgets what is past its retention, compacts the lake, expires old snapshots, removes unused files."""
    from cloudsync_pipeline.lake.maintenance import maintain

    name, run_id = context.partition_key, context.run.run_id
    with (
        as_failures(name),
        logged(context, lake.fleet),
        lake.open_for_writing(name, run_id=run_id, purpose="maintenance", leaves_debts=True) as opened,
    ):
        settings = lake.fleet.load().settings
        done = maintain(opened, datetime.now(UTC), run_id=run_id, retention=wiring.retention(settings))
    removed = done.released + done.orphans
    context.add_output_metadata(
        {
            "rows_forgotten": sum(done.forgotten.values()),
            "snapshots_expired": done.expired,
            "files_removed": removed.files,
            "bytes_removed": removed.bytes,
            "files": done.files,
            "bytes": done.bytes,
            "seconds": round(done.seconds, 3),
        }
    )


@dg.job(partitions_def=integrations, tags={KIND_TAG: "maintenance", "dagster/priority": "-20"})
def maintenance() -> None:
    """Keeps one integration's lake small and quick."""
    maintain_lake()


@dg.op
def back_lake_up(context: dg.OpExecutionContext, fleet: FleetResource) -> None:
    """Copies the lake as it stands to the folder for backups, and throws away backups that are too old."""
    from cloudsync_pipeline.backup import lakes, scheduled

    name, run_id = context.partition_key, context.run.run_id
    with as_failures(name), logged(context, fleet):
        settings = fleet.load().settings
        made = lakes.back_up(settings, name, run_id=run_id)
        scheduled.thrown_away(settings, made.backup)
    context.add_output_metadata(
        {"folder": str(made.backup.folder), "files": made.files, "bytes": made.bytes, "files_copied": made.copied}
    )


@dg.job(partitions_def=integrations, tags={KIND_TAG: "backup", "dagster/priority": "-20"})
def backup() -> None:
    """Backs one integration's lake up."""
    back_lake_up()


@dg.op
def keep_house(context: dg.OpExecutionContext, fleet: FleetResource) -> None:
    """Deletes runs past their retention from Dagster; backs the control database and Dagster's storage up when due."""
    from cloudsync_pipeline.backup import scheduled
    from cloudsync_pipeline.launch.forgetting import forget_runs
    from cloudsync_pipeline.launch.storage import storage_of

    with as_failures("housekeeping"):
        settings, instance = fleet.load().settings, context.instance
        before = datetime.now(UTC) - timedelta(seconds=settings.retention.dagster_runs)
        gone = forget_runs(instance, [key for one in checks for key in one.check_keys], before=before)
        enabled = settings.database.backup_enabled
        made = scheduled.databases_if_due(settings, storage_of(instance) if enabled else None)
    context.add_output_metadata(
        {"runs_deleted": gone.deleted, "old_runs_kept": gone.kept, "backups": [str(one.folder) for one in made]}
    )


@dg.job(tags={KIND_TAG: "housekeeping", "dagster/priority": "-20"})
def housekeeping() -> None:
    """Keeps Dagster's own storage small, and backs up what belongs to no single integration."""
    keep_house()
