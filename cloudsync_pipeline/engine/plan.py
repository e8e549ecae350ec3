"""Step three: from what is owed to a stored plan."""

from __future__ import annotations

import time
from dataclasses import asdict

from cloudsync_pipeline.core.guard import Judgement, judge
from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.engine.observe import observe_owed
from cloudsync_pipeline.engine.recover import recover
from cloudsync_pipeline.engine.results import Mode, PlanResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import planning, runs
from cloudsync_pipeline.lake.planning import DeleteFacts, PlanRules


async def make_plan(session: Session, *, run_id: str, dry_run: bool = False) -> PlanResult:
    """Plan everything that is owed, due and observed; what an interrupted run may have done is found out first.

    A dry run returns the same numbers and stores nothing.
    """
    began = time.monotonic()
    lake = session.lake
    if await recover(session, run_id=run_id):
        await observe_owed(session, run_id)
    run = runs.get(lake, run_id)
    now = session.clock()
    number = 1 + int(lake.scalar("SELECT count(*) FROM plans WHERE run_id = ?", [run_id]) or 0)
    planned = planning.make(
        lake,
        run_id,
        plan_id=f"{run_id}-{number}",
        mode=run.mode if run else Mode.INCREMENTAL.value,
        rules=_rules(session),
        judge=lambda facts: _judge(session, facts),
        now=now,
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
        runs.record_step(lake, run_id, "state_diff", asdict(result), session.clock())
    return result


def _rules(session: Session) -> PlanRules:
    files, storage = session.file_manager.capabilities, session.storage.capabilities
    return PlanRules(
        keep_deleted=session.policy.deletes is DeletePolicy.KEEP,
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
        max_ratio=session.policy.max_delete_ratio,
        min_deletes=session.policy.min_deletes,
    )
