"""An answer that got lost leaves a path in doubt; whatever the customer does next, both ends are equal in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudsync_pipeline.core import retry
from cloudsync_pipeline.core.errors import BadAnswer, PathRejected, Rejected, RemoteError, Unreachable
from cloudsync_pipeline.core.faults import LoseAnswer
from cloudsync_pipeline.core.rules import Policy
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.engine.world import World

LOST = LoseAnswer(Unreachable("the answer was lost"))

MANAGERS = {
    "tells everything": {},
    "tells no content": {"content_hash": False, "stable_ids": False},
    "tells nothing": {"content_hash": False, "stable_ids": False, "probe": False, "permissions": False},
    "writes in place": {"content_hash": False, "stable_ids": False, "atomic_put": False},
}


@pytest.fixture(params=MANAGERS, name="doubted")
def a_world_of_one_try(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world in which a lost answer is not made good by a second try, for each sort of file manager."""
    world = World(tmp_path, capabilities=MANAGERS[request.param], policy=Policy(retry_attempts=1))
    world.put("z", b"something else")
    world.sync()
    yield world
    world.check_debts()
    world.close()


def ends_equal(world: World) -> None:
    for _ in range(3):
        world.sync()
    assert world.contents() == world.wanted()
    assert world.owed() == {}
    world.forget_calls()
    assert world.sync(Mode.RECONCILE).verdict is Verdict.IN_SYNC
    assert world.sent() == []


def test_a_create_whose_object_is_deleted_before_the_next_sync(doubted: World) -> None:
    doubted.put("a", b"content")
    doubted.files.faults.add("put", LOST)
    doubted.sync()
    doubted.delete("a")
    ends_equal(doubted)


def test_an_update_whose_object_becomes_what_it_was(doubted: World) -> None:
    doubted.put("a", b"old")
    doubted.sync()
    doubted.put("a", b"new")
    doubted.files.faults.add("put", LOST)
    doubted.sync()
    doubted.put("a", b"old")
    ends_equal(doubted)


def test_a_move_that_is_taken_back(doubted: World) -> None:
    doubted.put("a", b"content")
    doubted.sync()
    doubted.rename("a", "b")
    doubted.files.faults.add("move", LOST)
    doubted.sync()
    doubted.rename("b", "a")
    ends_equal(doubted)


def test_a_move_whose_object_moves_on(doubted: World) -> None:
    doubted.put("a", b"content")
    doubted.sync()
    doubted.rename("a", "b")
    doubted.files.faults.add("move", LOST)
    doubted.sync()
    doubted.rename("b", "c")
    ends_equal(doubted)


def test_a_delete_whose_object_comes_back(doubted: World) -> None:
    doubted.put("a", b"content")
    doubted.sync()
    doubted.delete("a")
    doubted.files.faults.add("delete", LOST)
    doubted.sync()
    doubted.put("a", b"content")
    ends_equal(doubted)


def test_content_that_broke_off_half_way_is_replaced(doubted: World) -> None:
    doubted.put("a", b"old")
    doubted.sync()
    doubted.storage._chunk_size = 3
    doubted.put("a", b"something longer")
    doubted.storage_faults.add("chunk", Unreachable("broke off"), after=2)
    assert doubted.sync().verdict is Verdict.PARTIAL
    doubted.put("a", b"old")
    ends_equal(doubted)


def test_permissions_that_are_wanted_as_they_were(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1))
    world.put("a")
    world.sync()
    world.change_permissions("a", "rw-------")
    world.sync()
    world.change_permissions("a", "rwx------")
    world.files.faults.add("set_permissions", LOST)
    world.sync()
    world.change_permissions("a", "rw-------")
    world.sync()
    assert world.files.held.files["a"].permissions.permissions == "rw-------"
    world.close()


def test_what_turns_out_to_be_done_is_not_done_again(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1))
    for name in "abc":
        world.put(name, name.encode())
    world.sync()
    world.put("new", b"new")
    world.rename("a", "moved")
    world.delete("b")
    for call in ("put", "move", "delete"):
        world.files.faults.add(call, LOST)
    world.forget_calls()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert sorted(world.sent()) == ["delete", "move", "put"]
    assert world.contents() == world.wanted()
    world.close()


def test_an_answer_that_refuses_leaves_no_doubt_and_asks_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1))
    world.put("a")
    world.files.faults.add("put", Rejected("HTTP 400"))
    world.sync()
    assert world.files.called("get") == ()
    assert world.lake.read("SELECT * FROM files") == []
    world.close()


def test_an_object_that_changes_between_two_tries_does_not_hide_what_the_first_one_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.0)
    world = World(tmp_path, capabilities=MANAGERS["tells no content"], policy=Policy(retry_attempts=2))
    world.put("z", b"something else")
    world.put("a", b"content")
    world.sync()
    world.rename("a", "b")
    world.files.faults.add("move", LOST)
    # Asked before the move: the old key, then the new one; and the same again before the second try.
    world.storage_faults.add("head", lambda: world.storage.rename("b", "a"), after=4)
    world.sync()
    ends_equal(world)
    world.close()


def test_a_file_that_somebody_changed_is_not_taken_for_the_object_it_is_moved_to(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("a", b"content")
    world.sync()
    world.files.held.files["a"].content = b"changed over there"
    world.rename("a", "b")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == {"b": b"content"}
    world.close()


def test_a_file_manager_that_says_another_size_of_what_it_moved_is_sent_the_content(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities=MANAGERS["tells no content"])
    world.put("a", b"content")
    world.sync()
    world.rename("a", "b")
    world.files.distort = lambda state: replace(state, size=1)
    world.sync()
    world.files.distort = None
    ends_equal(world)
    world.close()


def test_a_delete_that_is_refused_for_the_path_leaves_a_confirmed_file_owed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("a")
    world.put("b", b"other")
    world.sync()
    world.delete("a")
    world.files.faults.add("delete", PathRejected("no such name here"))
    world.sync()
    assert "a" in world.contents()
    assert list(world.owed()) == ["a"]
    world.close()


@pytest.mark.parametrize("answer", [BadAnswer("no JSON"), PathRejected("no such name here")])
def test_a_probe_that_gives_no_answer_leaves_a_file_in_doubt(tmp_path: Path, answer: RemoteError) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1))
    world.put("z", b"something else")
    world.sync()
    world.put("a", b"content")
    world.files.faults.add("put", LOST)
    world.files.faults.add("get", answer)
    assert world.sync().verdict is Verdict.PARTIAL
    world.delete("a")
    ends_equal(world)
    world.close()
