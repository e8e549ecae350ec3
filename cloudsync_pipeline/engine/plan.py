"""Step three: from what is owed to a stored plan."""

from __future__ import annotations

import time
from dataclasses import asdict

from cloudsync_pipeline.core.guard import Judgement, judge
from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.engine.asking import observe_owed
from cloudsync_pipeline.engine.recover import recover
from cloudsync_pipeline.engine.results import Mode, PlanResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import planning, restored
from cloudsync_pipeline.lake.planning import DeleteFacts, PlanRules

AHEAD = 4000
"""How far the mark of what may have been sent runs ahead: the most operations to be probed after a crash."""


async def make_plan(
    session: Session, *, run_id: str, dry_run: bool = False, send_next: bool = False, again: bool = False
) -> PlanResult:
    """Plan everything that is owed, due and observed; what an interrupted run may have done is found out first.

    Args:
        dry_run: return the same numbers and store nothing.
        send_next: `execute` follows at once: the plan is stored as one that may have been sent already.
        again: this run has sent a plan before; what failed in it is left to the next run.

    Raises:
        StateError: the lake was restored, and not held against the file manager yet.
    """
    began = time.monotonic()
    lake = session.lake
    restored.require_verified(lake)
    if await recover(session, run_id=run_id):
        await observe_owed(session, run_id)
    mode, number = lake.one(
        "SELECT (SELECT mode FROM runs WHERE run_id = $run_id), (SELECT count(*) FROM plans WHERE run_id = $run_id)",
        {"run_id": run_id},
    ) or (None, 0)
    planned = planning.make(
        lake,
        run_id,
        plan_id=f"{run_id}-{number + 1}",
        mode=mode or Mode.INCREMENTAL.value,
        rules=_rules(session),
        judge=lambda facts: _judge(session, facts),
        now=session.clock(),
        sent_up_to=AHEAD if send_next else None,
        again=again,
        dry_run=dry_run,
    )
    result = PlanResult(
        plan_id=planned.plan_id,
        by_kind=planned.by_kind,
        held=planned.held,
        guard_reason=planned.guard_reason,
        bytes=planned.bytes,
        quarantined=planned.quarantined,
        waiting=planned.waiting,
        examples=planned.examples,
        seconds=time.monotonic() - began,
        snapshot_id=lake.current_snapshot(),
    )
    if not dry_run:
        session.note_step(run_id, "state_diff", asdict(result))
    return result


def _rules(session: Session) -> PlanRules:
    files, storage = session.file_manager.capabilities, session.storage.capabilities
    return PlanRules(
        keep_deleted=session.policy.deletes is DeletePolicy.KEEP,
        move_attempts=session.policy.quarantine_after,
        read_permissions=session.policy.read_permissions and not files.permissions_in_answers,
        etag_may_be_md5=storage.etag_may_be_md5,
        move=files.move,
        delete=files.delete,
        permissions=files.permissions,
        folders_are_files=files.folders_are_files,
        case_sensitive=files.case_sensitive,
    )


def _judge(session: Session, facts: DeleteFacts) -> Judgement:
    return judge(
        planned=facts.planned,
        done_in_window=facts.done_in_window,
        files_at_start=facts.files_at_start,
        files_now=facts.files_now,
        max_ratio=session.policy.max_delete_ratio,
        min_deletes=session.policy.min_deletes,
    )
