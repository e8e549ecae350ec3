"""One step of a sync inside Dagster: the integration opened, the engine called, errors told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from cloudsync_pipeline.assets.failures import as_failures
from cloudsync_pipeline.assets.logfile import logged
from cloudsync_pipeline.assets.progress import ProgressLog
from cloudsync_pipeline.assets.recording import record_failed
from cloudsync_pipeline.assets.running import run
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.partitions import KIND_TAG
from cloudsync_pipeline.resources import RunOptions, SessionResource

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.session import Session

T = TypeVar("T")


def run_step(
    context: dg.AssetExecutionContext,
    sessions: SessionResource,
    options: RunOptions,
    work: Callable[[Session, Mode], Awaitable[T]],
) -> T:
    """Open the partition's integration as its only writer, do `work`, and close it, whatever happens.

    The lock is held step by step: between two steps somebody else may write, and a plan that no longer
    follows from the state is then made anew. A step that breaks off is the end of its run, and is reported at once.

    Args:
        work: called with the open integration and the mode that the run began with.

    Raises:
        Failure: an error of ours, told for people.
        DagsterExecutionInterruptedError: the run was terminated; what was done is committed.
    """
    from cloudsync_pipeline.engine.runs import begin

    name, run_id = context.partition_key, context.run.run_id

    async def inside() -> T:
        async with sessions.open(name, run_id=run_id, purpose=context.asset_key.to_user_string()) as session:
            session.on_progress = ProgressLog(context.log)
            mode = begin(session, run_id=run_id, mode=_mode(context, options, session))
            try:
                return await work(session, mode)
            except CloudSyncError as error:
                await _report(session, run_id, error, options)
                raise
            except BaseException as error:
                # Terminated, or a defect: either way the run must not look as if it were still going on.
                told = f"It was stopped before its end ({type(error).__name__}); what is not confirmed stays owed."
                _finish_failed(session, run_id, told)
                raise

    began = datetime.now(UTC)
    with as_failures(name):
        try:
            with logged(context, sessions.fleet):
                return run(inside())
        except CloudSyncError as error:
            # It may not even have been opened: then nobody has been told yet.
            _record(sessions, context, error, began)
            raise


async def _report(session: Session, run_id: str, error: CloudSyncError, options: RunOptions) -> None:
    from cloudsync_pipeline.engine.report import report

    error.integration = error.integration or session.integration
    if options.dry_run:
        _finish_failed(session, run_id, str(error))
    else:
        await report(session, run_id=run_id, error=error)


def _finish_failed(session: Session, run_id: str, error: str) -> None:
    from cloudsync_pipeline.lake import runs

    runs.finish(session.lake, run_id, verdict=Verdict.FAILED, error=error, results={}, now=session.clock())


def _record(
    sessions: SessionResource, context: dg.AssetExecutionContext, error: CloudSyncError, began: datetime
) -> None:
    kind = context.run.tags.get(KIND_TAG)
    try:
        with sessions.control.open() as database:
            record_failed(
                database,
                sessions.fleet.load(),
                context.partition_key,
                run_id=context.run.run_id,
                mode=Mode(kind) if kind in set(Mode) else Mode.INCREMENTAL,
                started_at=began,
                finished_at=datetime.now(UTC),
                error=str(error),
                error_kind=type(error).__name__,
            )
            if error.retry_after is not None:
                database.put_off(context.partition_key, error.retry_after)
    except CloudSyncError as unable:
        context.log.warning("The failure could not be recorded, the sensor `failed_runs` will try again: %s", unable)


def _mode(context: dg.AssetExecutionContext, options: RunOptions, session: Session) -> Mode:
    """Why the run exists: as its job says; for assets picked by hand, by whether the listing is among them."""
    from cloudsync_pipeline.engine.sync import effective_mode

    kind = context.run.tags.get(KIND_TAG)
    picked = {key.to_user_string() for key in context.run.asset_selection or ()}
    by_hand = Mode.RECONCILE if "bucket_listing" in picked else Mode.INCREMENTAL
    asked = Mode(kind) if kind in set(Mode) else by_hand
    if options.full_scan and asked is Mode.INCREMENTAL:
        asked = Mode.RECONCILE
    # A run that leaves the snapshot out scans nothing, and must not count as the initial sync.
    if picked and "state_snapshot" not in picked:
        return Mode.INCREMENTAL
    return effective_mode(session, asked)
