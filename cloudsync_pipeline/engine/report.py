"""The last step: how a run went, told to the file manager and remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from cloudsync_pipeline.control import Control, Counts, Rest, RunResult
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.engine.results import (
    EventsResult,
    ExecutionResult,
    Failure,
    ListingResult,
    Mode,
    PlanResult,
    SnapshotResult,
    SyncResult,
    Verdict,
)
from cloudsync_pipeline.engine.runs import finish
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.status import status
from cloudsync_pipeline.lake import owed, runs

SERVICE = "cloudsync_pipeline"


async def report(session: Session, *, run_id: str, error: CloudSyncError | None = None) -> SyncResult:
    """Assemble a run's result from its stored steps, store it, and tell the file manager and the fleet.

    A file manager that does not take the report does not make the sync a failure; the result says so.
    """
    result = assemble(session, run_id, error)
    try:
        await session.file_manager.report(as_reported(result))
    except CloudSyncError as refused:
        result = replace(result, report_error=str(refused))
    now = session.clock()
    finish(
        session, run_id=run_id, verdict=result.verdict.value, error=result.error, results=as_reported(result), now=now
    )
    if session.control is not None:
        _tell_control(session, session.control, result, now)
        if error is not None and error.retry_after is not None:
            session.control.put_off(session.integration, error.retry_after, now=now)
    return result


def _tell_control(session: Session, control: Control, result: SyncResult, now: datetime) -> None:
    state = status(session.lake, session.integration)
    scanned = result.snapshot is not None and result.snapshot.scanned
    # A scan that was asked for is done by a listing that began after it was asked for.
    told = result.listing.begun_at if result.listing else None
    scan_began = datetime.fromisoformat(told) if told else result.started_at
    control.record_result(
        RunResult(
            run_id=result.run_id,
            integration=result.integration,
            mode=result.mode.value,
            verdict=result.verdict.value,
            started_at=result.started_at,
            finished_at=now,
            results=_remembered(result),
        ),
        counts=Counts(
            owed=state.owed,
            quarantined=state.quarantined,
            held=state.held,
            objects=state.objects,
            files=state.files,
            bytes=state.files_bytes,
        ),
        scan_started_at=scan_began if scanned else None,
        next_incremental_at=result.started_at + session.interval,
        next_scan_at=result.started_at + session.reconcile_interval if scanned else None,
        rest=Rest(
            feed_mark=result.events.mark if result.events and not result.events.gap else None,
            next_try_at=owed.next_due(session.lake, now),
            config_fingerprint=session.config_fingerprint,
        ),
    )


def _remembered(result: SyncResult) -> dict[str, Any]:
    """What the fleet's database keeps of a run: the report, the operations by kind, and what a scan found."""
    execution = result.execution
    counts = (
        {}
        if execution is None
        else {
            "done": dict(execution.done),
            "failed": dict(execution.failed),
            "skipped": dict(execution.skipped),
            "quarantined": dict(execution.quarantined),
        }
    )
    drift = result.snapshot.drift if result.snapshot else None
    return {**as_reported(result), "error": result.error, "execution": counts, "drift": drift}


def assemble(session: Session, run_id: str, error: CloudSyncError | None = None) -> SyncResult:
    """A run's result as its steps stored it."""
    run = runs.get(session.lake, run_id)
    steps = runs.steps(session.lake, run_id) if session.steps is None else {}
    steps |= {step.name: dict(step.result) for step in session.steps or ()}
    started_at = run.started_at if run else session.clock()
    result = SyncResult(
        integration=session.integration,
        run_id=run_id,
        mode=Mode(run.mode) if run else Mode.INCREMENTAL,
        verdict=Verdict.FAILED,
        started_at=started_at,
        seconds=(session.clock() - started_at).total_seconds(),
        listing=_typed(ListingResult, steps.get("bucket_listing")),
        events=_typed(EventsResult, steps.get("change_events")),
        snapshot=_typed(SnapshotResult, steps.get("state_snapshot")),
        plan=_typed(PlanResult, steps.get("state_diff")),
        execution=_typed(ExecutionResult, steps.get("executed_operations")),
        error=str(error) if error else None,
    )
    return replace(result, verdict=_verdict(result, owed.unpaid(session.lake)))


def _verdict(result: SyncResult, unpaid: int) -> Verdict:
    """The worst of what happened. What is quarantined since earlier runs is counted elsewhere and is no failure."""
    if result.error is not None:
        return Verdict.FAILED
    if result.execution is None:
        return Verdict.PLANNED
    if result.execution.held:
        return Verdict.HELD
    failed = sum(result.execution.failed.values()) + sum(result.execution.quarantined.values())
    if failed or unpaid:
        return Verdict.PARTIAL
    return Verdict.IN_SYNC


def as_reported(result: SyncResult) -> dict[str, Any]:
    """The result in the form that the file manager's `POST /reportResults` takes."""
    execution, events = result.execution, result.events
    done = sum(execution.done.values()) if execution else 0
    failed = sum(execution.failed.values()) + sum(execution.quarantined.values()) if execution else 0
    contents = ("create", "update")
    files = sum(execution.done.get(kind, 0) for kind in contents) if execution else 0
    files_failed = (
        sum(group.get(kind, 0) for group in (execution.failed, execution.quarantined) for kind in contents)
        if execution
        else 0
    )
    errors = (
        [{"file_path": f.path, "operation": f.kind, "error": f.error} for f in execution.failures] if execution else []
    )
    if result.error is not None:
        errors.insert(0, {"error": result.error})
    return {
        "sync_type": "incremental" if result.mode is Mode.INCREMENTAL else "initial",
        "mode": result.mode.value,
        "verdict": result.verdict.value,
        "timestamp": result.started_at.isoformat(),
        "success": result.verdict is Verdict.IN_SYNC,
        "duration_seconds": round(result.seconds, 3),
        "statistics": {
            "events_processed": events.new if events else 0,
            "operations_processed": done,
            "operations_failed": failed,
            "operations_held": execution.held if execution else 0,
            "files_processed": files,
            "files_failed": files_failed,
            "total_size": execution.bytes if execution else 0,
        },
        "event_counts": dict(events.by_type) if events else {},
        "errors": errors,
        "service": {"name": SERVICE, "integration": result.integration, "run_id": result.run_id},
    }


def _typed(kind: type[Any], stored: Mapping[str, Any] | None) -> Any:
    """A step's result from its stored form."""
    if stored is None:
        return None
    values = dict(stored)
    if kind is ExecutionResult:
        values["failures"] = tuple(Failure(**failure) for failure in values["failures"])
    if kind is PlanResult:
        values["examples"] = tuple(tuple(example) for example in values["examples"])
    return kind(**values)
