"""What an interrupted run may have done: asked of the file manager before anything is sent again."""

from __future__ import annotations

from dataclasses import replace

from cloudsync_pipeline.core.errors import NotFound
from cloudsync_pipeline.core.ordering import is_parking
from cloudsync_pipeline.core.records import FileState, Operation, OperationKind, Outcome, OutcomeStatus
from cloudsync_pipeline.engine.concurrency import map_bounded
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import outcomes, plans
from cloudsync_pipeline.lake.outcomes import Done
from cloudsync_pipeline.lake.plans import Plan

_WHY = "The run that sent this was interrupted before it learnt the outcome."


async def recover(session: Session, *, run_id: str) -> int:
    """Give every operation that may have been sent without an outcome one; returns how many there were.

    Confirmed content is adopted, everything else is looked at and planned again.

    Raises:
        RemoteError: the file manager cannot be asked now; nothing may be sent before it was.
    """
    count = 0
    for plan in plans.interrupted(session.lake):
        unknown = plans.unknown_operations(session.lake, plan)
        # By stage, as they were sent: of any path a batch of outcomes holds one stage only.
        for stage in sorted({operation.stage for operation in unknown}):
            found = await map_bounded(
                [operation for operation in unknown if operation.stage == stage],
                lambda operation: _probe(session, operation),
                limit=session.policy.transfers,
            )
            _record(session, run_id, plan, [one for group in found for one in group])
        count += len(unknown)
        plans.close(session.lake, run_id, plan.plan_id, "recovered", session.clock())
    return count


def _record(session: Session, run_id: str, plan: Plan, done: list[Done]) -> None:
    outcomes.record(
        session.lake,
        run_id,
        plan.plan_id,
        done,
        quarantine_after=session.policy.quarantine_after,
        dispatched_seq=None,
        now=session.clock(),
    )


async def _probe(session: Session, operation: Operation) -> list[Done]:
    if operation.kind in (OperationKind.CREATE, OperationKind.UPDATE):
        return [Done(operation, await _probe_content(session, operation))]
    if operation.kind is OperationKind.DELETE:
        there = await _find(session, operation.path)
        status = OutcomeStatus.DONE if there is None else OutcomeStatus.SKIPPED
        return [Done(operation, _outcome(session, status, gone=there is None))]
    if operation.kind is OperationKind.MOVE:
        return await _probe_move(session, operation)
    return [Done(operation, _outcome(session, OutcomeStatus.SKIPPED))]


async def _probe_content(session: Session, operation: Operation) -> Outcome:
    there = await _find(session, operation.path)
    if there is None:
        return _outcome(session, OutcomeStatus.SKIPPED, gone=True)
    expected = operation.fingerprint
    if expected is not None and there.fingerprint == expected:
        outcome = _outcome(session, OutcomeStatus.DONE)
        return replace(outcome, file=there, etag=operation.etag, version_id=operation.version_id)
    return replace(_outcome(session, OutcomeStatus.SKIPPED), file=there)


async def _probe_move(session: Session, operation: Operation) -> list[Done]:
    old = await _find(session, operation.path)
    new = await _find(session, operation.new_path or operation.path)
    if old is None and new is not None:
        same_id = operation.internal_id is not None and new.internal_id == operation.internal_id
        same_content = operation.fingerprint is not None and new.fingerprint == operation.fingerprint
        if (same_id and session.file_manager.capabilities.stable_ids) or same_content:
            etag = None if is_parking(new.path) else operation.etag
            return [Done(operation, replace(_outcome(session, OutcomeStatus.DONE), file=new, etag=etag))]
    found = [Done(operation, _outcome(session, OutcomeStatus.SKIPPED, gone=old is None))]
    if old is None and new is not None:
        # Something stands at the target that cannot be told: known as a file of unknown content.
        target = replace(
            operation,
            op_id=f"{operation.op_id}-target",
            kind=OperationKind.UPDATE,
            path=new.path,
            new_path=None,
        )
        found.append(Done(target, replace(_outcome(session, OutcomeStatus.SKIPPED), file=new)))
    return found


async def _find(session: Session, path: str) -> FileState | None:
    """What stands at a path; where that cannot be asked, a file of which nothing is known."""
    if not session.file_manager.capabilities.probe:
        return FileState(path)
    try:
        return await session.file_manager.get(path)
    except NotFound:
        return None


def _outcome(session: Session, status: OutcomeStatus, *, gone: bool = False) -> Outcome:
    error = None if status is OutcomeStatus.DONE else _WHY
    return Outcome(status=status, at=session.clock(), gone=gone, error=error)
