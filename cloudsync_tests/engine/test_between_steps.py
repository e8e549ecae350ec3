"""The lock is held step by step: what another writer does between two steps never lets an old plan be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cloudsync_pipeline.core.errors import PlanStale
from cloudsync_pipeline.engine.execute import execute
from cloudsync_pipeline.engine.listing import list_bucket
from cloudsync_pipeline.engine.observe import receive_events, take_snapshot
from cloudsync_pipeline.engine.plan import make_plan
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.lake import plans
from cloudsync_tests.engine.world import World


async def _events(world: World) -> None:
    await receive_events(world.session(), run_id="other")


async def _scan(world: World) -> None:
    await list_bucket(world.session(), run_id="other")
    await take_snapshot(world.session(), run_id="other")


async def _plan(world: World) -> None:
    await make_plan(world.session(), run_id="other")


async def _whole_sync(world: World) -> None:
    await receive_events(world.session(), run_id="other")
    await take_snapshot(world.session(), run_id="other")
    await execute(world.session(), run_id="other")


@pytest.mark.parametrize("meanwhile", [_events, _scan, _plan, _whole_sync])
def test_a_plan_whose_ground_was_changed_is_refused_by_name_and_made_anew_without_one(
    world: World, meanwhile: Callable[[World], asyncio.Future[None]]
) -> None:
    world.put("a", b"first")
    world.sync(Mode.INITIAL)
    world.put("b", b"planned")
    asyncio.run(_observed(world))
    planned = asyncio.run(make_plan(world.session(), run_id="mine"))
    assert planned.plan_id is not None
    world.delete("b")
    world.put("c", b"since")

    asyncio.run(meanwhile(world))  # type: ignore[arg-type]

    world.forget_calls()
    with pytest.raises(PlanStale, match=f"The plan {planned.plan_id} is superseded"):
        asyncio.run(execute(world.session(), run_id="mine", plan_id=planned.plan_id))
    assert world.sent() == []
    asyncio.run(_rest(world))
    assert world.contents() == world.wanted()
    stale = plans.get(world.lake, planned.plan_id)
    assert stale is not None
    assert stale.dispatched_seq < 0


async def _observed(world: World) -> None:
    await receive_events(world.session(), run_id="mine")
    await take_snapshot(world.session(), run_id="mine")


async def _rest(world: World) -> None:
    await _observed(world)
    await execute(world.session(), run_id="mine")
