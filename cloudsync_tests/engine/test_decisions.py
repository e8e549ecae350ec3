"""Held deletes approved and rejected, quarantined paths tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import PathRejected, PlanStale
from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.rules import Policy
from cloudsync_pipeline.engine import decisions
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.engine.status import status
from cloudsync_pipeline.file_managers.memory import EVERYTHING
from cloudsync_pipeline.lake import approvals, pages
from cloudsync_tests.engine.world import World, an_event
from cloudsync_tests.reliability.harsh_world import HarshWorld


def now() -> datetime:
    return datetime.now(UTC)


def with_held_deletes(world: World, count: int = 30) -> str:
    """A world of 40 files of which `count` deletes are held; returns the plan."""
    for number in range(40):
        world.put(f"{number:02}", f"content {number}".encode())
    world.sync()
    for number in range(count):
        world.delete(f"{number:02}")
    assert world.sync().verdict is Verdict.HELD
    return decisions.plan_in_question(world.lake, None)


def approve(world: World, plan_id: str) -> int:
    return decisions.approve(world.lake, run_id="a", plan_id=plan_id, by="test", now=now())


@pytest.mark.real_lake
def test_approved_deletes_are_sent_by_the_next_sync(world: World) -> None:
    plan = with_held_deletes(world)
    assert [one.path for one in approvals.held(world.lake, plan, limit=2)] == ["00", "01"]
    assert approve(world, plan) == 30
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    assert world.lake.read("SELECT * FROM approvals") == []


def test_an_approval_does_not_cover_deletes_that_came_later(world: World) -> None:
    plan = with_held_deletes(world)
    approve(world, plan)
    for number in range(30, 35):
        world.delete(f"{number:02}")
    result = world.sync()
    assert result.verdict is Verdict.HELD
    assert result.plan is not None
    assert result.plan.held == 5
    assert sorted(world.contents()) == [f"{number:02}" for number in range(30, 40)]


def test_an_approval_does_not_cover_a_file_that_is_another_by_now(world: World) -> None:
    plan = with_held_deletes(world)
    approve(world, plan)
    world.put("00", b"it came back")
    world.sync(Mode.RECONCILE)
    world.delete("00")
    world.sync()
    assert "00" in world.contents()


def test_a_plan_is_approved_once_and_an_unknown_one_never(world: World) -> None:
    plan = with_held_deletes(world)
    approve(world, plan)
    with pytest.raises(PlanStale, match="waits for approval"):
        approve(world, plan)
    with pytest.raises(PlanStale, match="waits for approval"):
        approve(world, "nothing")


@pytest.mark.real_lake
def test_rejected_deletes_stay_visible_and_are_not_asked_about_again(world: World) -> None:
    plan = with_held_deletes(world)
    assert decisions.reject(world.lake, run_id="r", plan_id=plan, by="test", now=now()) == 30
    result = world.sync()
    assert result.verdict is Verdict.IN_SYNC
    assert len(world.contents()) == 40
    assert status(world.lake, "world").quarantined == 30
    assert pages.quarantine(world.lake, limit=1)[0].next_try is None
    assert world.sync(Mode.RECONCILE).verdict is Verdict.IN_SYNC
    assert len(world.contents()) == 40


def test_a_rejected_delete_stays_rejected_when_it_is_told_again(world: World) -> None:
    plan = with_held_deletes(world)
    decisions.reject(world.lake, run_id="r", plan_id=plan, by="test", now=now())
    world.feed.publish(an_event(EventType.DELETE, "00"))
    world.sync()
    # Alone it would pass the guard.
    world.policy = replace(world.policy, max_delete_ratio=1.0)
    world.sync(Mode.RECONCILE)
    assert len(world.contents()) == 40
    assert "00" in world.owed()


@pytest.mark.parametrize("told", [True, False])
def test_a_rejected_file_follows_its_object_once_that_is_there_again(world: World, told: bool) -> None:
    plan = with_held_deletes(world)
    decisions.reject(world.lake, run_id="r", plan_id=plan, by="test", now=now())
    world.storage.put("00", b"back, and another")
    if told:
        world.feed.publish(an_event(EventType.CREATE, "00"))
    world.sync(Mode.INCREMENTAL if told else Mode.RECONCILE)
    assert world.contents()["00"] == b"back, and another"
    assert "00" not in world.owed()


def test_retry_asks_about_rejected_deletes_again(world: World) -> None:
    plan = with_held_deletes(world)
    decisions.reject(world.lake, run_id="r", plan_id=plan, by="test", now=now())
    assert decisions.retry(world.lake, run_id="t") == 30
    assert world.sync().verdict is Verdict.HELD


def test_retry_makes_a_quarantined_path_due_at_once(world: World) -> None:
    world.put("bad")
    world.files.faults.add("put", PathRejected("no such name here"), key="bad")
    world.sync()
    found = pages.quarantine(world.lake, limit=10)
    assert [(one.path, one.aspect, one.attempts) for one in found] == [("bad", "content", 1)]
    assert "no such name here" in found[0].error
    assert decisions.retry(world.lake, run_id="t", paths=["bad"]) == 1
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_with_no_held_plan_there_is_nothing_to_decide(world: World) -> None:
    world.sync()
    with pytest.raises(PlanStale, match="No plan holds deletes"):
        decisions.plan_in_question(world.lake, None)


def test_deletes_count_against_the_guard_for_24_hours(tmp_path: Path) -> None:
    world = HarshWorld(tmp_path, EVERYTHING, Policy(max_delete_ratio=0.5, min_deletes=2))
    for number in range(8):
        world.put(f"{number}", f"content {number}".encode())
    world.sync(Mode.RECONCILE)

    def verdict_of_deleting(*keys: str) -> Verdict:
        for key in keys:
            world.delete(key)
            world.announce(EventType.DELETE, key)
        result = world.sync(Mode.INCREMENTAL)
        assert isinstance(result, SyncResult), result
        return result.verdict

    assert verdict_of_deleting("0", "1", "2", "3") is Verdict.IN_SYNC
    world.clock.jump(timedelta(hours=23))
    assert verdict_of_deleting("4") is Verdict.HELD
    assert "4" in world.files.held.files
    world.clock.jump(timedelta(hours=2))
    assert verdict_of_deleting() is Verdict.IN_SYNC
    assert sorted(world.files.held.files) == ["5", "6", "7"]
    world.lake.close()
