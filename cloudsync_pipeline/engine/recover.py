"""What an interrupted run may have done: asked of the file manager before anything is sent again."""

from __future__ import annotations

from cloudsync_pipeline.core.records import Operation, Outcome, OutcomeStatus
from cloudsync_pipeline.engine.concurrency import map_bounded
from cloudsync_pipeline.engine.doubt import settle
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import outcomes, plans
from cloudsync_pipeline.lake.outcomes import Done
from cloudsync_pipeline.lake.plans import STORAGE_CHANGED, Plan

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
            asked = [operation for operation in unknown if operation.stage == stage]
            _record(session, run_id, plan, await _settled(session, plan, asked))
        count += len(unknown)
        plans.close(session.lake, run_id, plan.plan_id, "recovered", session.clock())
    return count


async def _settled(session: Session, plan: Plan, unknown: list[Operation]) -> list[Done]:
    adopt = plan.closed_as != STORAGE_CHANGED

    async def one(operation: Operation) -> list[Done]:
        otherwise = Outcome(status=OutcomeStatus.SKIPPED, at=session.clock(), error=_WHY)
        return await settle(session, operation, otherwise, must_know=True, adopt=adopt)

    found = await map_bounded(unknown, one, limit=session.policy.transfers)
    return [done for group in found for done in group]


def _record(session: Session, run_id: str, plan: Plan, done: list[Done]) -> None:
    outcomes.record(
        session.lake,
        run_id,
        plan.plan_id,
        done,
        quarantine_after=session.policy.quarantine_after,
        permissions=session.file_manager.capabilities.permissions,
        dispatched_seq=None,
        now=session.clock(),
    )
