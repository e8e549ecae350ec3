"""Moves that cannot be made, debts that cannot be paid, and what is tried instead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.core import retry
from cloudsync_pipeline.core.errors import (
    AccessDenied,
    PathRejected,
    Rejected,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.events import EventType, MalformedEvent
from cloudsync_pipeline.core.faults import ALWAYS
from cloudsync_pipeline.core.ordering import PARKING
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.engine.world import World, an_event


class Clock:
    """The time as a test wants it; it may stand still."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)


def a_world(folder: Path, *names: str, **settings: object) -> World:
    """A world in which these objects are in sync already, each with its name as content."""
    world = World(folder, **settings)  # type: ignore[arg-type]
    for name in names:
        world.put(name, name.encode())
    world.sync()
    world.forget_calls()
    return world


# --- moves -----------------------------------------------------------------------------------------


def test_a_move_that_keeps_failing_is_planned_as_a_delete_and_a_create(tmp_path: Path) -> None:
    clock = Clock()
    world = a_world(tmp_path, "a", "z", clock=clock, policy=Policy(retry_attempts=1, quarantine_after=2))
    world.files.faults.add("move", Rejected("HTTP 400"), times=ALWAYS)
    world.rename("a", "b")
    for _ in range(2):
        assert world.sync().verdict is Verdict.PARTIAL
    clock.now += timedelta(hours=2)
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_file_whose_new_name_cannot_be_held_does_not_stay_under_its_old_one(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "z")
    for call in ("move", "put"):
        world.files.faults.add(call, PathRejected("no such name here"), times=ALWAYS)
    world.rename("a", "b")
    assert world.sync().verdict is Verdict.PARTIAL
    world.sync()
    assert set(world.contents()) == {"z"}
    assert list(world.owed()) == ["b"]


def test_names_that_are_too_long_for_parking_are_exchanged_by_content(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "b", capabilities={"max_name_bytes": 8})
    for key in ("a", "b"):
        world.put(key, ("b" if key == "a" else "a").encode())
    world.sync()
    world.sync()
    assert world.contents() == world.wanted()
    assert world.owed() == {}


def test_a_key_that_only_looks_parked_is_deleted_only_when_its_object_is_gone(tmp_path: Path) -> None:
    name = f"{PARKING}-notes"
    world = a_world(tmp_path, name, "z")
    world.storage.delete(name)
    world.feed.publish(an_event(EventType.DELETE, name))
    world.storage_faults.add("head", lambda: world.storage.put(name, b"back"), after=1)
    world.sync()
    assert world.contents() == world.wanted()


def test_a_key_that_only_looks_parked_is_kept_where_deletes_are(tmp_path: Path) -> None:
    name = f"{PARKING}-notes"
    world = a_world(tmp_path, name, "z", policy=Policy(deletes=DeletePolicy.KEEP))
    world.delete(name)
    assert world.sync(Mode.RECONCILE).verdict is Verdict.IN_SYNC
    assert name in world.contents()


def test_a_file_stays_where_it_is_while_a_held_delete_blocks_the_way_of_the_one_it_makes_room_for(
    tmp_path: Path,
) -> None:
    world = a_world(tmp_path, "d", "a", "b", capabilities={"folders_are_files": False}, policy=Policy(min_deletes=1))
    # a would move below d, whose delete is held; b would move to a's place.
    world.policy = Policy(min_deletes=1, max_delete_ratio=0.0)
    world.delete("d")
    world.rename("a", "d/a")
    world.rename("b", "a")
    assert world.sync().verdict is Verdict.HELD
    assert world.contents() == {"d": b"d", "a": b"a", "b": b"b"}


def test_content_for_the_place_of_a_file_that_did_not_move_away_replaces_it(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "z", policy=Policy(retry_attempts=1))
    world.rename("a", "b")
    world.put("a", b"something new")
    world.files.faults.add("move", Unavailable("HTTP 503"))
    world.sync()
    puts = [(call.path, call.replace) for call in world.files.called("put")]
    assert puts == [("a", True)]
    world.sync()
    assert world.contents() == world.wanted()


def test_the_room_that_a_file_leaves_is_used_at_once(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "z", capabilities={"folders_are_files": False})
    world.put("a/b", b"below")
    assert world.sync().execution.quarantined == {"create": 1}  # type: ignore[union-attr]
    world.delete("a")
    world.sync()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


# --- permissions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("later", ["a", "b"])
@pytest.mark.parametrize("pages", [1, 2])
def test_the_later_wish_counts_where_two_meet_at_one_path(tmp_path: Path, later: str, pages: int) -> None:
    # A wish for a name may mean the file that stood there or the one that was moved there: feeds give no order to rely
    # on, so what was asked for last is what somebody wants now.
    world = a_world(tmp_path, "a", "b")
    world.change_permissions("b" if later == "a" else "a", "rw-------")
    if pages == 2:
        world.sync()
    world.change_permissions(later, "rwx------")
    world.rename("a", "b")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.files.held.files["b"].permissions.permissions == "rwx------"
    assert world.lake.read("SELECT path, permissions FROM desired_permissions") == [("b", "rwx------")]


def test_permissions_asked_for_under_the_new_name_are_set_in_the_same_sync_as_the_rename(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "z")
    world.rename("a", "b")
    world.change_permissions("b", "rwx------")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.files.held.files["b"].permissions.permissions == "rwx------"


def test_permissions_that_a_chain_of_moves_carries_arrive_with_their_files(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "b", "c")
    for name, permissions in (("a", "rw-r-----"), ("b", "rwx------"), ("c", "r--r--r--")):
        world.change_permissions(name, permissions)
    world.sync()
    objects = world.bucket.objects
    objects["a"], objects["b"], objects["c"], objects["d"] = objects["c"], objects["a"], objects["b"], objects["c"]
    world.storage.delete("a")
    world.sync(Mode.RECONCILE)
    assert world.contents() == world.wanted()
    held = {path: file.permissions.permissions for path, file in world.files.held.files.items()}
    assert held == {"b": "rw-r-----", "c": "rwx------", "d": "r--r--r--"}


def test_permissions_are_set_again_on_a_file_that_was_lost_and_sent_again(tmp_path: Path) -> None:
    world = a_world(tmp_path, "a", "z")
    world.change_permissions("a", "rw-------")
    world.sync()
    del world.files.held.files["a"]
    world.put("a", b"changed")
    world.sync()
    world.sync()
    assert world.files.held.files["a"].permissions.permissions == "rw-------"


# --- one bad key stops nothing ---------------------------------------------------------------------


def test_a_key_that_the_storage_never_answers_for_does_not_stop_a_full_scan(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z", policy=Policy(retry_attempts=1))
    world.storage_faults.add("head", AccessDenied("HTTP 403"), key="secret", times=ALWAYS)
    world.feed.publish(an_event(EventType.UPDATE, "secret"))
    world.sync()
    world.storage.put("unannounced", b"new")
    world.sync(Mode.RECONCILE)
    assert "unannounced" in world.contents()


def test_a_key_that_the_storage_never_answers_for_is_quarantined(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z", policy=Policy(retry_attempts=1, quarantine_after=2))
    world.storage_faults.add("head", AccessDenied("HTTP 403"), key="secret", times=ALWAYS)
    world.feed.publish(an_event(EventType.UPDATE, "secret"))
    assert world.sync().verdict is Verdict.PARTIAL
    assert world.sync().verdict is Verdict.IN_SYNC
    calls = world.storage_faults.calls["head"]
    world.sync()
    assert world.storage_faults.calls["head"] == calls


def test_a_storage_that_hiccups_once_is_asked_again(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z")
    world.put("a")
    world.storage_faults.add("head", Unavailable("HTTP 503"))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_storage_that_is_away_ends_the_sync_before_every_key_was_tried(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z", policy=Policy(retry_attempts=1, quarantine_after=1, transfers=2))
    for number in range(90):
        world.put(f"{number:03}")

    async def away() -> None:
        await asyncio.sleep(0)  # as any real call does, so that the others notice that one has given up
        raise Unreachable("away")

    for call in ("head", "health"):
        world.storage_faults.add(call, away, times=ALWAYS)
    with pytest.raises(Unreachable):
        world.sync()
    assert world.storage_faults.calls["head"] < 60
    assert len(world.owed()) == 90
    world.storage_faults.clear()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_what_failed_is_left_to_the_next_run_when_a_run_plans_again(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z", policy=Policy(retry_attempts=1))
    world.put("bad")
    world.put("changing", b"first")
    world.files.faults.add("put", Rejected("HTTP 400"), key="bad", times=ALWAYS)
    world.storage_faults.add("read", lambda: world.storage.put("changing", b"second"), key="changing")
    world.sync()
    assert [call.path for call in world.files.called("put")].count("bad") == 1
    assert world.lake.read("SELECT path, attempts FROM owed WHERE aspect = 'content'") == [("bad", 1)]


def test_a_wait_of_a_million_years_is_none(tmp_path: Path) -> None:
    clock = Clock()
    world = a_world(tmp_path, "z", clock=clock, policy=Policy(retry_attempts=1))
    world.put("a")
    world.files.faults.add("put", Throttled("HTTP 429", retry_after=1e18))
    world.sync()
    clock.now += timedelta(days=8)
    assert world.sync().verdict is Verdict.IN_SYNC


def test_an_entry_that_is_given_both_understood_and_not_is_stored_once(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z")
    world.feed.publish(an_event(EventType.UPDATE, "z", identity="same"), MalformedEvent("same", "no JSON", "<"))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.lake.read("SELECT count(*) FROM events WHERE identity = 'same'") == [(1,)]


def test_many_events_of_one_key_are_one_question_and_one_operation(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z")
    world.storage.put("a", b"content")
    world.feed.publish(*(an_event(EventType.UPDATE, "a") for _ in range(90)))
    world.sync()
    assert world.storage_faults.calls["head"] == 1
    assert world.sent() == ["put"]


# --- clocks ----------------------------------------------------------------------------------------


def test_a_change_is_not_lost_when_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = Clock()
    world = a_world(tmp_path, "z", clock=clock)
    world.storage_faults.add("head", AccessDenied("HTTP 403"), key="a", times=1)
    world.put("a", b"first")
    world.sync()
    clock.now -= timedelta(hours=5)
    world.sync()
    world.put("a", b"second")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_clock_that_stands_still_stops_nothing(tmp_path: Path) -> None:
    world = a_world(tmp_path, "z", clock=Clock())
    world.put("a", b"first")
    world.storage_faults.add("read", lambda: world.storage.put("a", b"second"))
    assert world.sync().verdict is Verdict.IN_SYNC
    world.put("a", b"third")
    world.rename("z", "y")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_try_put_off_by_a_clock_that_was_wrong_is_not_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    world = a_world(tmp_path, "z", clock=clock)
    clock.now += timedelta(days=3650)
    world.put("a")
    world.files.faults.add("put", PathRejected("no such name here"))
    world.sync()
    clock.now -= timedelta(days=3650)
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
