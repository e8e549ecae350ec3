"""Deletes that the guard holds: looked at, approved, rejected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from cloudsync_pipeline.api.access import Admin, Reader, Served
from cloudsync_pipeline.api.cursors import cursor as to_cursor
from cloudsync_pipeline.api.cursors import place
from cloudsync_pipeline.api.keys import Caller
from cloudsync_pipeline.api.models import Cursor, Decided, Decision, HeldDelete, HeldPlan, Limit, Name
from cloudsync_pipeline.api.problems import documented
from cloudsync_pipeline.api.world import World
from cloudsync_pipeline.engine import decisions
from cloudsync_pipeline.engine.sync import new_run_id
from cloudsync_pipeline.lake import Lake, approvals, plans

log = logging.getLogger(__name__)
router = APIRouter(tags=["plans"])

_ERRORS = documented(400, 404, 408, 409, 413)


@router.get("/integrations/{id}/plan", responses=documented(404))
async def show(
    name: Name,
    world: Served,
    _: Reader,
    plan: Annotated[
        str | None, Query(max_length=200, description="Which; by default the newest that holds deletes.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> HeldPlan:
    """The deletes that a plan holds and that still wait, by path."""
    plan_id, after = place("plan", cursor, str, str) if cursor else (plan, None)

    def ask(lake: Lake) -> HeldPlan:
        found = plan_id
        if found is None:
            newest = plans.newest_holding(lake)
            if newest is None:
                return HeldPlan(integration=name, plan_id=None, held=0, deletes=[], next_cursor=None)
            found = newest.plan_id
        rows = approvals.held(lake, found, limit=limit + 1, after=after)
        return HeldPlan(
            integration=name,
            plan_id=found,
            held=approvals.count_held(lake, found),
            deletes=[HeldDelete(path=row.path, size=row.size, reason=row.reason or "") for row in rows[:limit]],
            next_cursor=to_cursor("plan", found, rows[limit - 1].path) if len(rows) > limit else None,
        )

    return await world.read_lake(name, ask)


@router.post("/integrations/{id}/plan/approve", responses=_ERRORS)
async def approve(name: Name, body: Decision, world: Served, caller: Admin) -> Decided:
    """Approve exactly the deletes that this plan holds now; the next sync sends them."""
    count = await _decide(name, body.plan_id, world, caller, "approve", decisions.approve)
    return Decided(integration=name, plan_id=body.plan_id, approved=count)


@router.post("/integrations/{id}/plan/reject", responses=_ERRORS)
async def reject(name: Name, body: Decision, world: Served, caller: Admin) -> Decided:
    """Reject them: the files stay, and are shown as quarantined until somebody asks for them again."""
    count = await _decide(name, body.plan_id, world, caller, "reject", decisions.reject)
    return Decided(integration=name, plan_id=body.plan_id, rejected=count)


async def _decide(name: str, plan_id: str, world: World, caller: Caller, verb: str, decide: Callable[..., int]) -> int:
    run_id = new_run_id()
    by = f"api:{caller.name}"
    change = partial(decide, run_id=run_id, plan_id=plan_id, by=by, now=datetime.now(UTC))
    count = await world.write_lake(name, run_id, verb, change)
    log.info("%s: %s of %d deletes of plan %s", by, verb, count, plan_id, extra={"integration": name})
    return count
