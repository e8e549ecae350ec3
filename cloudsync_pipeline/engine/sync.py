"""One sync of one integration from end to end: the engine as a library, without Dagster.

run_id = new_run_id()
async with wiring.open_session(load_fleet(), "photos", run_id=run_id, purpose="library") as session:
    result = await sync(session, Mode.INCREMENTAL, run_id=run_id)
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from cloudsync_pipeline.core.errors import CloudSyncError, LockLost
from cloudsync_pipeline.engine.execute import execute, send_nothing
from cloudsync_pipeline.engine.listing import list_bucket
from cloudsync_pipeline.engine.observe import receive_events, take_snapshot
from cloudsync_pipeline.engine.plan import make_plan
from cloudsync_pipeline.engine.report import assemble, report
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.engine.runs import begin, finish
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import restored, runs


def new_run_id() -> str:
    """A run id for syncs that nobody else named."""
    return str(uuid.uuid4())


async def sync(session: Session, mode: Mode, *, run_id: str, dry_run: bool = False) -> SyncResult:
    """Bring one integration's file manager in step with its storage.

    Until one full scan is in the state every sync is one, and so is each where there is no feed or the
    feed lost entries, and the first after a restore.

    Args:
        session: opened, with the integration's lock held.
        mode: where to start: at the listing (initial, reconcile) or at the events (incremental).
        run_id: names the run in the lake, in Dagster and in the report.
        dry_run: observe and plan; send nothing, store no plan, report nothing.

    Returns:
        What was observed, planned and done, and the verdict.

    Raises:
        CloudSyncError: it broke off. What was confirmed is recorded, the failure is recorded and reported,
            the rest is owed.
        LockLost: another writer has taken over, or may have: nothing more was written, sent or told.
    """
    mode = begin(session, run_id=run_id, mode=effective_mode(session, mode))
    session.steps = []
    try:
        events = await receive_events(session, run_id=run_id)
        if mode is not Mode.INCREMENTAL or events.gap:
            await list_bucket(session, run_id=run_id)
        await take_snapshot(session, run_id=run_id)
        plan = await make_plan(session, run_id=run_id, dry_run=dry_run, send_next=not dry_run)
        if dry_run:
            result = replace(assemble(session, run_id), plan=plan, verdict=Verdict.PLANNED)
            finish(session, run_id=run_id, verdict=Verdict.PLANNED)
            return result
        if plan.operations or plan.held:
            await execute(session, run_id=run_id, plan_id=plan.plan_id, begun=True)
        else:
            send_nothing(session, run_id=run_id)
    except LockLost:
        raise  # Whatever is to be told of the integration is told by its new holder.
    except CloudSyncError as error:
        error.integration = error.integration or session.integration
        if dry_run:
            finish(session, run_id=run_id, verdict=Verdict.FAILED, error=str(error))
        else:
            await report(session, run_id=run_id, error=error)
        raise
    except BaseException as error:
        # Stopped, or a defect: either way the run must not look as if it were still going on.
        told = f"It was stopped before its end ({type(error).__name__}); what is not confirmed stays owed."
        finish(session, run_id=run_id, verdict=Verdict.FAILED, error=told)
        raise
    return await report(session, run_id=run_id)


def effective_mode(session: Session, mode: Mode) -> Mode:
    """What a sync asked for as `mode` has to be, see `sync`."""
    if runs.get_meta(session.lake, "scanned_at") is None:
        return Mode.INITIAL
    if mode is Mode.INCREMENTAL and (session.feed is None or restored.read_mark(session.lake) is not None):
        return Mode.RECONCILE
    return mode
