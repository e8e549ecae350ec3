"""What is seen of the customer's storage: the whole listing, the announced changes, and the state they lead to."""

# Dagster reads the annotations of what it decorates: they must not be strings (`from __future__ import annotations`).

from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline.assets import lines, metadata, previews
from cloudsync_pipeline.assets.common import AFTER_EACH_SCAN, AFTER_EACH_SYNC, GROUP, OWNERS
from cloudsync_pipeline.assets.step import run_step
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.partitions import integrations
from cloudsync_pipeline.resources import RunOptions, SessionResource

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.session import Session


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"s3", "parquet"},
    tags={"cloudsync/side": "storage"},
    freshness_policy=AFTER_EACH_SCAN,
)
def bucket_listing(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> dg.MaterializeResult[None]:
    """Every object that the customer's bucket held at one time, as the storage listed it.

    Kept as Parquet with a marker that it is complete, until `state_snapshot` merges it. A listing that
    breaks off leaves nothing behind, and nothing is concluded from it. One that an interrupted run completed within
    the last hour is taken as it is.
    """
    from cloudsync_pipeline.engine.listing import list_bucket
    from cloudsync_pipeline.engine.observe import receive_events
    from cloudsync_pipeline.storage.base import LISTING_SCHEMA

    run_id = context.run.run_id

    async def work(opened: "Session", _mode: Mode) -> dg.MaterializeResult[None]:
        # Feeds forget: what was announced before a large bucket was listed may be gone once it is.
        await receive_events(opened, run_id=run_id)
        result = await list_bucket(opened, run_id=run_id)
        context.log.info(lines.listed(result))
        return dg.MaterializeResult(
            metadata={
                **metadata.table_facts(LISTING_SCHEMA, result.objects, f"{opened.integration}.listing"),
                **metadata.listing_facts(result),
            },
            data_version=dg.DataVersion(result.listing_id),
        )

    return run_step(context, session, options, work)


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb"},
    tags={"cloudsync/side": "storage"},
    freshness_policy=AFTER_EACH_SYNC,
)
def change_events(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> dg.MaterializeResult[None]:
    """Changes of the customer's objects as its event feed announced them, each once, for 30 days.

    Events come at least once and in any order; they are hints. Each names paths that are owed from then
    on, and what is true of these is read from the storage. One that cannot be understood is kept with the reason.
    """
    from cloudsync_pipeline.engine.observe import receive_events

    run_id = context.run.run_id

    async def work(opened: "Session", _mode: Mode) -> dg.MaterializeResult[None]:
        result = await receive_events(opened, run_id=run_id)
        context.log.info(lines.received(result))
        if result.gap:
            context.log.warning("The feed lost events between two reads: a full scan was asked for.")
        return dg.MaterializeResult(
            metadata={
                **previews.table_of(opened.lake, "events"),
                **metadata.events_facts(result, previews.event_lag(opened.lake, run_id)),
                "examples": previews.newest_events(opened.lake, run_id),
            },
            data_version=previews.version_of(opened.lake, "events"),
        )

    return run_step(context, session, options, work)


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb"},
    tags={"cloudsync/side": "storage"},
    deps=[bucket_listing, change_events],
    freshness_policy=AFTER_EACH_SYNC,
)
def state_snapshot(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> dg.MaterializeResult[None]:
    """The customer's objects as last observed: one row a key, every earlier version kept.

    A complete listing is merged into it as changes; without one, only the keys that are owed are asked of
    the storage. Each path whose file may now differ is owed. Until one full scan is in it, every sync is one.
    """
    from cloudsync_pipeline.engine.listing import list_bucket
    from cloudsync_pipeline.engine.observe import take_snapshot
    from cloudsync_pipeline.lake import runs

    run_id = context.run.run_id

    async def work(opened: "Session", mode: Mode) -> dg.MaterializeResult[None]:
        if mode is not Mode.INCREMENTAL and "bucket_listing" not in runs.steps(opened.lake, run_id):
            listing = await list_bucket(opened, run_id=run_id)
            context.log.info("This run needs a full scan: %s", lines.listed(listing))
        result = await take_snapshot(opened, run_id=run_id)
        context.log.info(lines.observed(result))
        if result.drift:
            context.log.warning(lines.drifted(result))
        return dg.MaterializeResult(
            metadata={
                **previews.table_of(opened.lake, "objects"),
                **metadata.snapshot_facts(result),
                "examples": previews.newest_objects(opened.lake),
            },
            data_version=previews.version_of(opened.lake, "objects"),
        )

    return run_step(context, session, options, work)
