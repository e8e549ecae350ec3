"""An end that asks to be left alone for long is: no tick starts a run of its integration before that time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Control
from cloudsync_pipeline.core.errors import CloudSyncError, Throttled
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_tests.engine.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOR_AN_HOUR = Throttled("HTTP 503 SlowDown", retry_after=3600.0)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with Control.open(f"sqlite:///{tmp_path}/control.sqlite") as opened:
        opened.ensure("world")
        yield opened


def run(world: World, control: Control, mode: Mode = Mode.INCREMENTAL) -> Verdict:
    world.clock = lambda: NOON
    session = replace(world.session(), control=control, interval=timedelta(minutes=5))
    return asyncio.run(sync(session, mode, run_id=new_run_id())).verdict


def due(control: Control, after: timedelta) -> set[str]:
    return {mode for mode in ("initial", "incremental", "reconcile") if control.due(NOON + after, mode)}


def test_a_listing_that_is_told_to_come_back_in_an_hour_is_not_due_before(world: World, control: Control) -> None:
    world.storage_faults.add("list", FOR_AN_HOUR)
    with pytest.raises(CloudSyncError, match="SlowDown"):
        run(world, control, Mode.INITIAL)
    assert due(control, HOUR - timedelta(seconds=1)) == set()
    assert due(control, HOUR) == {"initial"}


def test_a_head_that_is_told_to_come_back_in_an_hour_puts_the_next_run_off(world: World, control: Control) -> None:
    run(world, control, Mode.INITIAL)
    control.request_scan("world", "a person wants it", now=NOON)
    world.put("a")
    world.put("b")
    world.storage_faults.add("head", FOR_AN_HOUR, key="a")
    assert run(world, control) is Verdict.PARTIAL
    assert world.contents().keys() == {"b"}
    assert due(control, HOUR - timedelta(seconds=1)) == set()
    assert due(control, HOUR) == {"incremental", "reconcile"}


def test_a_run_that_a_person_starts_meanwhile_and_that_succeeds_ends_the_wait(world: World, control: Control) -> None:
    world.storage_faults.add("list", FOR_AN_HOUR)
    with pytest.raises(CloudSyncError):
        run(world, control, Mode.INITIAL)
    assert run(world, control, Mode.INITIAL) is Verdict.IN_SYNC
    assert due(control, timedelta(minutes=5)) == {"incremental"}


def test_a_short_wait_that_the_run_waited_out_itself_puts_nothing_off(world: World, control: Control) -> None:
    run(world, control, Mode.INITIAL)
    world.put("a")
    world.storage_faults.add("head", Throttled("HTTP 503", retry_after=0.001), key="a")
    assert run(world, control) is Verdict.IN_SYNC
    assert due(control, timedelta(minutes=5)) == {"incremental"}
