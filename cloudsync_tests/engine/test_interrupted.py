"""What a killed run leaves, and what the next one makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.core import retry
from cloudsync_pipeline.core.errors import BadAnswer, PathRejected, Unreachable
from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.faults import ALWAYS
from cloudsync_pipeline.core.ordering import PARKING
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.engine import runs as engine_runs
from cloudsync_pipeline.engine.observe import receive_events
from cloudsync_pipeline.engine.plan import make_plan
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.memory import EVERYTHING
from cloudsync_tests.reliability.harsh_world import HarshWorld
from cloudsync_tests.reliability.kills import Kill
from cloudsync_tests.reliability.quiet import settle_down


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)


def a_world(folder: Path, capabilities: FileManagerCapabilities = EVERYTHING, **policy: object) -> HarshWorld:
    chosen = replace(Policy(retry_attempts=1, max_delete_ratio=1.0, min_deletes=100), **policy)  # type: ignore[arg-type]
    world = HarshWorld(folder, capabilities, chosen)
    world.put("z", b"something else")
    world.sync(Mode.RECONCILE)
    return world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HarshWorld]:
    made = a_world(tmp_path)
    yield made
    settle_down(made)
    made.lake.close()


def create(world: HarshWorld, key: str, content: bytes = b"content") -> None:
    world.put(key, content)
    world.announce(EventType.CREATE, key)


def killed_at(world: HarshWorld, operation: str, *, after: bool = True) -> None:
    """An incremental sync, killed at the first call of `operation` to the file manager."""
    assert world.sync(Mode.INCREMENTAL, Kill("call", 1, after, operation)) is None


def changes(world: HarshWorld) -> list[str]:
    return [c.operation for c in world.files.calls if c.operation in ("put", "move", "delete", "set_permissions")]


def test_content_that_arrived_is_adopted_and_not_sent_again(world: HarshWorld) -> None:
    create(world, "a")
    killed_at(world, "put")
    world.files.calls.clear()
    result = world.sync(Mode.INCREMENTAL)
    assert isinstance(result, SyncResult)
    assert result.verdict is Verdict.IN_SYNC
    assert changes(world) == []


def test_a_move_that_arrived_is_known_by_its_id(tmp_path: Path) -> None:
    world = a_world(tmp_path, FileManagerCapabilities(atomic_put=True, stable_ids=True))
    create(world, "a")
    world.sync(Mode.INCREMENTAL)
    world.rename("a", "b")
    world.announce(EventType.RENAME, "a", "b")
    killed_at(world, "move")
    world.files.calls.clear()
    world.sync(Mode.INCREMENTAL)
    assert changes(world) == []
    settle_down(world)


@pytest.mark.parametrize("keep", [False, True])
def test_a_swap_that_was_interrupted_half_way_goes_on_without_bytes(tmp_path: Path, keep: bool) -> None:
    world = a_world(tmp_path, deletes=DeletePolicy.KEEP if keep else DeletePolicy.PROPAGATE)
    create(world, "a", b"one")
    create(world, "b", b"other")
    world.sync(Mode.INCREMENTAL)
    ids = {path: file.internal_id for path, file in world.files.held.files.items()}
    world.swap("a", "b")
    world.announce(EventType.UPDATE, "a")
    world.announce(EventType.UPDATE, "b")
    killed_at(world, "move")
    assert any(path.startswith(PARKING) for path in world.files.held.files)
    world.files.calls.clear()
    world.sync(Mode.INCREMENTAL)
    assert changes(world) == ["move", "move"]
    assert {path: file.internal_id for path, file in world.files.held.files.items()} == {
        "a": ids["b"],
        "b": ids["a"],
        "z": ids["z"],
    }
    settle_down(world)


def test_a_path_that_cannot_be_asked_about_does_not_stop_the_integration(world: HarshWorld) -> None:
    create(world, "x/../y")
    create(world, "a")
    killed_at(world, "put", after=False)
    for operation in ("get", "put", "read_permissions"):
        world.files.faults.add(operation, PathRejected("it leads out of the folder"), key="x/../y", times=ALWAYS)
    result = world.sync(Mode.INCREMENTAL)
    assert isinstance(result, SyncResult)
    assert "a" in world.files.held.files
    assert "x/../y" not in world.files.held.files
    # It is refused when it is sent, and when it is asked for: nobody takes it for a file that may be there.
    assert world.lake.read("SELECT path FROM files ORDER BY path") == [("a",), ("z",)]


def test_a_path_that_is_always_answered_with_garbage_does_not_stop_the_integration(world: HarshWorld) -> None:
    create(world, "bad")
    create(world, "good")
    killed_at(world, "put", after=False)
    world.files.faults.add("get", BadAnswer("no JSON"), key="bad", times=ALWAYS)
    result = world.sync(Mode.INCREMENTAL)
    assert isinstance(result, SyncResult)
    assert result.verdict is Verdict.IN_SYNC


def test_nothing_is_sent_before_a_file_manager_that_is_away_can_be_asked(world: HarshWorld) -> None:
    create(world, "a")
    killed_at(world, "put", after=False)
    world.files.faults.add("get", Unreachable("away"), times=ALWAYS)
    world.files.calls.clear()
    assert isinstance(world.sync(Mode.INCREMENTAL), Unreachable)
    assert changes(world) == []
    world.files.faults.clear()


def test_what_was_named_since_is_not_paid_by_what_was_known_before(world: HarshWorld) -> None:
    create(world, "a", b"first")
    killed_at(world, "put")
    # The step of the events runs, and that of the plan, which finds out about the killed run; nothing looks between.
    world.put("a", b"second")
    world.announce(EventType.UPDATE, "a")
    session = world.session()
    engine_runs.begin(session, run_id="by hand", mode=Mode.INCREMENTAL)
    asyncio.run(receive_events(session, run_id="by hand"))
    asyncio.run(make_plan(session, run_id="by hand"))
    world.sync(Mode.INCREMENTAL)
    assert world.files.content("a") == b"second"


def test_what_was_sent_from_a_storage_of_before_is_found_and_removed(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    create(world, "a")
    killed_at(world, "put")
    moved = world.session()
    moved.identity = {**moved.identity, "storage.bucket": "two"}
    engine_runs.accept_identity(moved, run_id="accepted")
    world.identity = moved.identity
    world.delete("a")
    settle_down(world)
    assert set(world.files.held.files) == {"z"}


def test_content_of_a_storage_of_before_does_not_count_as_that_of_the_new_one(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.put("a", b"from the first", etag="version-1")
    world.announce(EventType.CREATE, "a")
    killed_at(world, "put")
    moved = world.session()
    moved.identity = {**moved.identity, "storage.bucket": "two"}
    engine_runs.accept_identity(moved, run_id="accepted")
    world.identity = moved.identity
    world.put("a", b"in the seconds", etag="version-1")
    settle_down(world)
    assert world.files.content("a") == b"in the seconds"


def test_a_listing_that_an_interrupted_run_left_covers_no_event_that_came_after_it(world: HarshWorld) -> None:
    create(world, "a", b"first")
    world.sync(Mode.INCREMENTAL)
    # Killed when the listing is complete and not merged.
    assert world.sync(Mode.RECONCILE, Kill("commit", 2, after=False)) is None
    # The clock is set back: by its times the event comes before the listing.
    world.clock.jump(timedelta(minutes=-30))
    world.put("a", b"second")
    world.announce(EventType.UPDATE, "a")
    world.sync(Mode.INCREMENTAL)
    assert world.files.content("a") == b"second"


def test_a_file_at_a_path_nobody_may_ask_about_is_a_file_of_unknown_content(tmp_path: Path) -> None:
    world = a_world(tmp_path, FileManagerCapabilities(probe=False, permissions=False, atomic_put=True))
    create(world, "a")
    killed_at(world, "put")
    world.delete("a")
    world.announce(EventType.DELETE, "a")
    world.sync(Mode.INCREMENTAL)
    assert "a" not in world.files.held.files
    settle_down(world)
