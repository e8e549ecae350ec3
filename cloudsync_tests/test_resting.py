"""An integration that owes nothing, and whose feed has nothing new, gets no run; anything else gets one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.control import Integration, rests
from cloudsync_pipeline.core.errors import AccessDenied, Unavailable
from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.faults import ALWAYS
from cloudsync_pipeline.schedules import incremental_schedule
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet
from cloudsync_tests.engine.world import an_event

AN_INTERVAL = timedelta(minutes=5)


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path_factory.mktemp("resting"), "acme", lasting=True) as fleet:
        fleet.storage("acme").put("a", b"content")
        assert fleet.run("initial_sync", "acme").success
        yield fleet


@pytest.fixture
def fleet(synced: FleetOfTests) -> Iterator[FleetOfTests]:
    """One integration in step, whose feed was read to its end and whose next sync is due."""
    text = (synced.folder / "integrations" / "acme.yaml").read_text()
    known = synced.load().integrations["acme"]
    if synced.feed("acme").waiting or not rests(standing(synced), known.fingerprint, datetime.now(UTC)):
        assert synced.run("incremental_sync", "acme").success
    yield synced
    synced.feed("acme").faults.clear()
    synced.storage("acme").faults.clear()
    synced.write("acme", text)


def standing(fleet: FleetOfTests) -> Integration:
    with fleet.control() as control:
        return control.get("acme")


def tick(fleet: FleetOfTests, at: datetime) -> Any:
    needed = {
        name: one for name, one in fleet.resources().items() if name in incremental_schedule.required_resource_keys
    }
    with dg.build_schedule_context(instance=fleet.instance, scheduled_execution_time=at, resources=needed) as context:
        return incremental_schedule(context)


def requested(fleet: FleetOfTests) -> bool:
    """Whether the next tick at which it is due requests a run."""
    due = standing(fleet).next_incremental_at
    assert due is not None
    return not isinstance(tick(fleet, due + timedelta(seconds=1)), dg.SkipReason)


def test_it_is_put_off_by_an_interval_and_counts_as_in_step(fleet: FleetOfTests) -> None:
    before = standing(fleet)
    assert before.next_incremental_at is not None
    at = before.next_incremental_at + timedelta(seconds=1)

    answer = tick(fleet, at)

    assert isinstance(answer, dg.SkipReason)
    assert "Nothing is new in the feeds of 1 that were due." in str(answer.skip_message)
    after = standing(fleet)
    assert after.next_incremental_at == at + AN_INTERVAL
    assert after.last_checked_at == after.last_success_at == at
    assert after.last_finished_at == before.last_finished_at


def test_an_event_brings_a_run_at_the_next_tick(fleet: FleetOfTests) -> None:
    assert not requested(fleet)
    fleet.feed("acme").publish(an_event(EventType.UPDATE, "a"))
    assert requested(fleet)


def test_a_feed_that_does_not_answer_brings_a_run_that_says_so(fleet: FleetOfTests) -> None:
    fleet.feed("acme").faults.add("peek", Unavailable("HTTP 503"), times=ALWAYS)
    assert requested(fleet)


def test_a_feed_that_is_slow_is_not_waited_for(fleet: FleetOfTests) -> None:
    fleet.feed("acme").faults.add("peek", lambda: asyncio.sleep(60))

    async def scenario() -> frozenset[str]:
        with fleet.control() as control:
            one = control.get("acme")
            return await wiring.note_resting(fleet.load(), control, [one], datetime.now(UTC), within=0.1)

    assert asyncio.run(scenario()) == frozenset()


def test_another_policy_brings_a_run(fleet: FleetOfTests) -> None:
    fleet.add("acme", extra="policy: {deletes: keep}", partition=False)
    assert requested(fleet)


def test_a_debt_that_may_be_tried_again_brings_a_run_and_one_that_waits_does_not(fleet: FleetOfTests) -> None:
    fleet.add("acme", extra="policy: {quarantine_after: 1}", partition=False)
    fleet.storage("acme").put("b", b"content")
    fleet.storage("acme").faults.add("read", AccessDenied("HTTP 403"), key="b", times=ALWAYS)
    fleet.feed("acme").publish(an_event(EventType.CREATE, "b"))
    fleet.run("incremental_sync", "acme")
    quarantined = standing(fleet)
    assert (quarantined.owed, quarantined.quarantined) == (1, 1)
    assert quarantined.next_try_at is not None

    assert not requested(fleet)
    assert not isinstance(tick(fleet, quarantined.next_try_at), dg.SkipReason)


def test_whatever_writes_to_the_lake_wakes_it_but_maintenance(fleet: FleetOfTests) -> None:
    settings = fleet.load().settings
    with wiring.open_lake(settings, "acme", run_id="m", purpose="maintenance", leaves_debts=True):
        pass
    assert not requested(fleet)
    with wiring.open_lake(settings, "acme", run_id="r", purpose="retry"):
        pass
    assert requested(fleet)


def test_a_run_that_was_killed_leaves_it_awake(fleet: FleetOfTests) -> None:
    async def killed() -> None:
        async with wiring.open_session(fleet.load(), "acme", run_id="k", purpose="incremental sync"):
            pass  # It ends without having told how.

    asyncio.run(killed())
    assert requested(fleet)
