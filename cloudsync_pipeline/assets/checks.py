"""Checks of each integration by itself: what a run's success does not say.

Partitioned checks are a preview of Dagster 1.13; this is the one module that takes it. Without partitions the
last integration's pass would hide another one's failure. None of them blocks: what is held or has failed stays
owed, and the rest of a sync goes on. They read stored state, so that each can be run again by itself.
"""

# Dagster reads the annotations of what it decorates: they must not be strings (`from __future__ import annotations`).

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline.assets import looks
from cloudsync_pipeline.assets.applied import executed_operations, state_diff, sync_report
from cloudsync_pipeline.assets.looks import Look
from cloudsync_pipeline.assets.observed import bucket_listing, state_snapshot
from cloudsync_pipeline.assets.running import run
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.partitions import PARTITION_TAG, integrations
from cloudsync_pipeline.resources import (
    ControlResource,
    EventFeedResource,
    FileManagerResource,
    FleetResource,
    LakeResource,
    SessionResource,
    StorageResource,
)

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.verify import VerifyResult

OK, NONE = "ok", "none configured"
SAMPLE = 20
"""Files that the file manager is asked for."""


def _spec(asset: dg.AssetsDefinition, name: str, description: str) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # Said once, above, instead of at every load of the definitions.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=description, partitions_def=integrations)


LISTING_COMPLETE = _spec(
    bucket_listing, "listing_complete", "The newest listing went to its end, and holds as many objects as it says."
)
ENDS_REACHABLE = _spec(
    bucket_listing,
    "ends_reachable",
    "Storage, file manager and event feed answer, and the credentials have the rights that a sync needs.",
)
DRIFT = _spec(
    state_snapshot,
    "drift",
    "The newest full scan found nothing that events had missed. Drift is brought over by the same run.",
)
DELETE_GUARD = _spec(
    state_diff,
    "delete_guard",
    "The delete guard holds nothing of the newest plan. What it holds waits for an approval.",
)
FAILED_OPERATIONS = _spec(
    executed_operations,
    "failed_operations",
    "No operation's last try failed. What failed stays owed, and is tried again.",
)
QUARANTINE = _spec(
    executed_operations,
    "quarantine",
    "No path is in quarantine: the file manager can hold each of them, and none failed too often.",
)
MATCHES_FILE_MANAGER = _spec(
    executed_operations,
    "matches_file_manager",
    "A random sample of files is in the file manager as its acknowledgements said.",
)
OVERDUE = _spec(
    sync_report,
    "overdue",
    "A sync was completed within three intervals. The sensor `overdue_integrations` evaluates it when no run does.",
)

_STORED = (
    (LISTING_COMPLETE, looks.listing_complete),
    (DRIFT, looks.drift),
    (DELETE_GUARD, looks.delete_guard),
    (FAILED_OPERATIONS, looks.failed_operations),
    (QUARANTINE, looks.quarantine),
)


@dg.multi_asset_check(
    name="stored_state",
    specs=[spec for spec, _ in _STORED],
    can_subset=True,
)
def stored_state(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
    """What the lake alone can tell, looked at together: opening a lake takes longer than reading it."""
    wanted = [(spec, look) for spec, look in _STORED if spec.key in context.selected_asset_check_keys]
    try:
        with lake.open(_integration(context)) as opened:
            found = [_result(spec, look(opened)) for spec, look in wanted]
    except CloudSyncError as error:
        found = [_result(spec, _unable(error)) for spec, _ in wanted]
    yield from found


@dg.multi_asset_check(name="ends", specs=[ENDS_REACHABLE])
def ends(
    context: dg.AssetCheckExecutionContext,
    storage: StorageResource,
    file_manager: FileManagerResource,
    event_feed: EventFeedResource,
) -> Iterator[dg.AssetCheckResult]:
    """Asks both ends and the feed how they are."""
    answers = run(_healths(_integration(context), storage=storage, file_manager=file_manager, event_feed=event_feed))
    wrong = [f"{end}: {answer}" for end, answer in answers.items() if answer not in (OK, NONE)]
    yield _result(ENDS_REACHABLE, Look(not wrong, "; ".join(wrong) or None, facts=answers))


@dg.multi_asset_check(name="sample", specs=[MATCHES_FILE_MANAGER])
def sample(context: dg.AssetCheckExecutionContext, session: SessionResource) -> Iterator[dg.AssetCheckResult]:
    """Asks the file manager for some of its files."""
    try:
        look = looks.sample_matches(run(_compared(session, _integration(context), context.run.run_id)))
    except CloudSyncError as error:
        look = _unable(error)
    yield _result(MATCHES_FILE_MANAGER, look)


@dg.multi_asset_check(name="in_time", specs=[OVERDUE])
def in_time(
    context: dg.AssetCheckExecutionContext, fleet: FleetResource, control: ControlResource
) -> Iterator[dg.AssetCheckResult]:
    """Compares the last completed sync with the clock."""
    from cloudsync_pipeline.control.overdue import overdue_since

    try:
        interval = fleet.integration(_integration(context)).sync.interval
        with control.open() as database:
            integration = database.get(_integration(context))
        look = looks.in_time(overdue_since(integration, interval, datetime.now(UTC)), interval)
    except CloudSyncError as error:
        look = _unable(error)
    yield _result(OVERDUE, look)


checks = [stored_state, ends, sample, in_time]


def _integration(context: dg.AssetCheckExecutionContext) -> str:
    name = context.run.tags.get(PARTITION_TAG)
    if name is None:
        raise dg.Failure(
            f"A check is about one integration: start the run with the tag {PARTITION_TAG} set to its name.",
            allow_retries=False,
        )
    return name


def _result(spec: dg.AssetCheckSpec, look: Look) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key=spec.asset_key, check_name=spec.name, **look.told())


def _unable(error: CloudSyncError) -> Look:
    """A check that cannot look must not fail the run of a sync that went well."""
    return Look(False, f"This could not be checked: {error}", serious=False)


async def _healths(name: str, **asked: StorageResource | FileManagerResource | EventFeedResource) -> dict[str, str]:
    answers = {}
    for end, resource in asked.items():
        try:
            async with resource.open(name) as opened:
                if opened is not None:
                    await opened.health()
            answers[end] = NONE if opened is None else OK
        except CloudSyncError as error:
            answers[end] = str(error)
    return answers


async def _compared(sessions: SessionResource, name: str, run_id: str) -> "VerifyResult | None":
    from cloudsync_pipeline.engine.verify import verify

    async with sessions.open(name, run_id=run_id, purpose="comparing a sample") as session:
        if not session.file_manager.capabilities.probe:
            return None
        return await verify(session, run_id=run_id, sample=SAMPLE)
