"""Step four: a stored plan, sent; outcomes committed in batches while it runs."""

from __future__ import annotations

import time
from collections import Counter as Tally
from dataclasses import asdict

from cloudsync_pipeline.core.errors import PlanStale
from cloudsync_pipeline.engine.asking import observe_owed
from cloudsync_pipeline.engine.plan import make_plan
from cloudsync_pipeline.engine.results import ExecutionResult, Failure
from cloudsync_pipeline.engine.sender import Sender
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import plans
from cloudsync_pipeline.lake.plans import Plan

ROUNDS = 3
"""How often one run plans again what changed in the storage while it was being sent."""

FAILURES_TOLD = 50


async def execute(session: Session, *, run_id: str, plan_id: str | None = None, begun: bool = False) -> ExecutionResult:
    """Send a plan's operations, except those that the delete guard holds.

    Objects that changed since they were planned are looked at and planned again in this same run.

    Args:
        plan_id: the plan; None takes the newest open one, or makes one where there is none that still holds.
        begun: the plan was made to be sent by this call (`make_plan(send_next=True)`).

    Raises:
        PlanStale: the plan named is closed: the state has moved on since.
        CommitFailed, StorageFull: outcomes cannot be recorded, so nothing more was sent.
        CloudSyncError: the storage or the file manager stopped answering; what was done is recorded.
    """
    began = time.monotonic()
    tally = Tallies()
    plan = await _choose(session, run_id, plan_id, begun=begun)
    held = 0
    for round_ in range(1, ROUNDS + 1):
        if plan is None:
            break
        held = plan.held
        plan_id = plan.plan_id
        sender = Sender(session, run_id, plan, tally)
        try:
            await sender.run()
        finally:
            tally.bytes += sender.counter.bytes
        if not sender.changed or round_ == ROUNDS:
            break
        await observe_owed(session, run_id)
        plan = await _made(session, run_id, again=True)
    result = ExecutionResult(
        plan_id=plan_id,
        done=dict(tally.by_status["done"]),
        failed=dict(tally.by_status["failed"]),
        skipped=dict(tally.by_status["skipped"]),
        quarantined=dict(tally.by_status["quarantined"]),
        held=held,
        bytes=tally.bytes,
        seconds=time.monotonic() - began,
        failures=tuple(tally.failures),
        snapshot_id=session.lake.current_snapshot(),
    )
    session.note_step(run_id, "executed_operations", asdict(result))
    return result


def send_nothing(session: Session, *, run_id: str) -> ExecutionResult:
    """Note that a run had nothing to send."""
    result = ExecutionResult(None, {}, {}, {}, {}, 0, 0, 0.0, (), session.lake.current_snapshot())
    session.note_step(run_id, "executed_operations", asdict(result))
    return result


class Tallies:
    """What became of operations so far, over all rounds of an execution."""

    def __init__(self) -> None:
        self.by_status: dict[str, Tally[str]] = {
            status: Tally() for status in ("done", "failed", "skipped", "quarantined")
        }
        self.failures: list[Failure] = []
        self.bytes = 0

    def add(self, kind: str, path: str, status: str, error_kind: str | None, error: str | None) -> None:
        self.by_status[status][kind] += 1
        if status in ("failed", "quarantined") and len(self.failures) < FAILURES_TOLD:
            self.failures.append(Failure(kind, path, error_kind or "", error or "", status))


async def _choose(session: Session, run_id: str, plan_id: str | None, *, begun: bool) -> Plan | None:
    """The plan to send; None where there is nothing to send and nothing held."""
    if plan_id is not None:
        named = plans.get(session.lake, plan_id)
        if named is None or named.closed_as is not None or (named.dispatched_seq >= 0 and not begun):
            state = "is not known" if named is None else f"is {named.closed_as or 'begun by another run'}"
            raise PlanStale(
                f"The plan {plan_id} {state}.",
                integration=session.integration,
                remedy="Materialize state_diff again, or run a sync: both make a new plan.",
            )
        return named
    newest = plans.newest(session.lake)
    if newest is not None and newest.closed_as is None and newest.dispatched_seq < 0:
        return newest
    return await _made(session, run_id)


async def _made(session: Session, run_id: str, *, again: bool = False) -> Plan | None:
    made = await make_plan(session, run_id=run_id, send_next=True, again=again)
    if made.operations == 0 and made.held == 0:
        return None
    return plans.get(session.lake, made.plan_id or "")
