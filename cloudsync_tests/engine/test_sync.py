"""What a sync does, seen from both ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, IdentityChanged, IncompleteListing, PathRejected, Unreachable
from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.faults import Corrupt, LoseAnswer, Truncate
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.engine import runs as engine_runs
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.engine.status import status
from cloudsync_tests.engine.world import World, an_event


def _change(world: World, key: str, content: bytes) -> None:
    """A change that a fault makes in the middle of something."""
    world.storage.put(key, content)


@pytest.mark.real_lake
def test_the_first_sync_brings_everything(world: World) -> None:
    for number in range(30):
        world.put(f"folder {number % 3}/file {number}", b"x" * number)
    result = world.sync()
    assert result.mode is Mode.INITIAL
    assert result.verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    assert world.owed() == {}


def test_an_empty_bucket_is_in_sync(world: World) -> None:
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == {}


@pytest.mark.real_lake
def test_a_second_sync_without_changes_plans_and_sends_nothing(world: World) -> None:
    world.put("a")
    world.sync()
    for mode in Mode:
        world.forget_calls()
        result = world.sync(mode)
        assert result.plan is not None
        assert result.plan.operations == 0
        assert world.sent() == []


@pytest.mark.real_lake
def test_an_incremental_sync_brings_what_events_name_and_lists_nothing(world: World) -> None:
    for name in ("same", "changed", "gone", "old name"):
        world.put(name, name.encode())
    world.sync()
    world.forget_calls()
    world.put("new", b"new")
    world.put("changed", b"other")
    world.delete("gone")
    world.rename("old name", "new name")
    result = world.sync()
    assert result.mode is Mode.INCREMENTAL
    assert result.execution is not None
    assert result.execution.done == {"create": 1, "update": 1, "delete": 1, "move": 1, "read_permissions": 1}
    assert world.contents() == world.wanted()
    assert world.storage_faults.calls["list"] == 0


def test_a_rename_keeps_the_internal_id_and_sends_no_bytes(world: World) -> None:
    world.put("a", b"some content")
    world.sync()
    before = world.ids()["a"]
    world.rename("a", "b/c")
    result = world.sync()
    assert world.ids() == {"b/c": before}
    assert result.execution is not None
    assert result.execution.bytes == 0


@pytest.mark.real_lake
def test_a_swap_and_a_chain_move_files_without_bytes(world: World) -> None:
    for name in "abcd":
        world.put(name, name.encode() * 10)
    world.sync()
    ids = world.ids()
    world.storage.rename("a", "tmp")
    world.storage.rename("b", "a")
    world.storage.rename("tmp", "b")
    world.storage.rename("d", "e")
    world.storage.rename("c", "d")
    result = world.sync(Mode.RECONCILE)
    assert world.contents() == world.wanted()
    assert world.ids() == {"b": ids["a"], "a": ids["b"], "e": ids["d"], "d": ids["c"]}
    assert result.execution is not None
    assert result.execution.bytes == 0


def test_a_file_is_replaced_by_a_folder_and_back(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities={"folders_are_files": False})
    world.put("a", b"file")
    world.put("other", b"o")
    world.sync()
    world.delete("a")
    world.put("a/b", b"below")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    world.delete("a/b")
    world.put("a", b"file again")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    world.close()


def test_permissions_of_new_files_are_read_and_changes_send_no_content(world: World) -> None:
    world.put("a")
    world.sync()
    assert world.lake.read("SELECT permissions, permissions_known FROM files") == [("rw-r--r--", True)]
    world.forget_calls()
    world.change_permissions("a", "rw-------")
    result = world.sync()
    assert world.sent() == ["set_permissions"]
    assert result.execution is not None
    assert result.execution.bytes == 0
    assert world.files.held.files["a"].permissions.permissions == "rw-------"


@pytest.mark.real_lake
def test_desired_permissions_survive_scans_and_follow_moves(world: World) -> None:
    world.put("a", b"content")
    world.sync()
    world.change_permissions("a", "rw-------")
    world.sync()
    world.sync(Mode.RECONCILE)
    world.rename("a", "b")
    world.sync()
    assert world.lake.read("SELECT path, permissions FROM desired_permissions") == [("b", "rw-------")]
    assert world.lake.read("SELECT path, permissions FROM files") == [("b", "rw-------")]


def test_permissions_asked_for_before_the_file_is_there_are_set_once_it_is(world: World) -> None:
    world.sync()
    world.storage.put("a", b"content")
    world.change_permissions("a", "rwx------")
    world.sync()
    world.feed.publish(an_event(EventType.CREATE, "a"))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.files.held.files["a"].permissions.permissions == "rwx------"
    assert world.sent() == ["put", "set_permissions"]


@pytest.mark.real_lake
def test_what_events_missed_is_found_by_a_full_scan_and_counted_as_drift(world: World) -> None:
    world.put("a")
    world.put("b")
    world.sync()
    world.storage.put("unannounced", b"new")
    world.storage.put("a", b"changed unannounced")
    assert world.sync().plan.operations == 0  # type: ignore[union-attr]
    result = world.sync(Mode.RECONCILE)
    assert result.snapshot is not None
    assert result.snapshot.drift == 2
    assert world.contents() == world.wanted()


def test_lost_events_make_the_same_run_a_full_scan(world: World) -> None:
    world.put("a")
    world.sync()
    world.storage.put("never announced", b"x")
    world.feed.lose()
    for number in range(100):
        world.feed.publish(an_event(EventType.UPDATE, f"other {number}"))
    result = world.sync()
    assert result.events is not None
    assert result.events.gap
    assert result.listing is not None
    assert world.contents() == world.wanted()


def test_duplicated_and_reordered_events_change_nothing(world: World) -> None:
    world.sync()
    events = [an_event(EventType.CREATE, "a"), an_event(EventType.DELETE, "a"), an_event(EventType.UPDATE, "b")]
    world.storage.put("b", b"b")
    world.feed.publish(*reversed(events), *events)
    result = world.sync()
    assert result.events is not None
    assert result.events.new == 3
    assert world.contents() == {"b": b"b"}
    assert world.sync().events.new == 0  # type: ignore[union-attr]


def test_without_a_feed_every_sync_is_a_full_scan(tmp_path: Path) -> None:
    world = World(tmp_path, with_feed=False)
    world.put("a")
    world.sync()
    world.put("b")
    world.delete("a")
    assert world.sync().mode is Mode.RECONCILE
    assert world.contents() == world.wanted()
    world.close()


@pytest.mark.real_lake
def test_a_dry_run_observes_and_plans_and_sends_nothing(world: World) -> None:
    world.put("a")
    result = world.sync(dry_run=True)
    assert result.verdict is Verdict.PLANNED
    assert result.plan is not None
    assert result.plan.by_kind == {"create": 1, "read_permissions": 1}
    assert world.contents() == {}
    assert world.lake.read("SELECT * FROM plans") == []
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


# --- things that go wrong --------------------------------------------------------------------------


def test_an_incomplete_listing_removes_nothing(world: World) -> None:
    world.put("a")
    world.sync()
    world.storage.delete("a")
    world.storage_faults.add("list", IncompleteListing("broke off"))
    with pytest.raises(IncompleteListing):
        world.sync(Mode.RECONCILE)
    assert world.contents() == {"a": b"content"}
    assert world.lake.read("SELECT key FROM objects") == [("a",)]
    assert status(world.lake, "world").last_runs[0][2] == "failed"


@pytest.mark.real_lake
def test_a_complete_listing_is_not_listed_again_after_what_follows_broke_off(world: World) -> None:
    world.put("a")
    world.files.faults.add("put", AccessDenied("no"), times=None)
    assert world.sync().verdict is Verdict.PARTIAL
    world.files.faults.clear()
    world.forget_calls()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.storage_faults.calls["list"] == 0
    assert world.contents() == world.wanted()


def test_a_failed_operation_stays_owed_and_is_planned_again(world: World) -> None:
    world.put("a")
    world.put("b")
    world.files.faults.add("put", Unreachable("away"), key="a", times=2)
    result = world.sync()
    assert result.verdict is Verdict.PARTIAL
    assert list(world.owed()) == ["a"]
    assert world.lake.read("SELECT attempts, last_error_kind FROM owed WHERE aspect = 'content'") == [
        (1, "Unreachable")
    ]
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_path_that_cannot_be_held_is_quarantined_and_stops_nothing(world: World) -> None:
    world.put("bad")
    world.put("good")
    world.files.faults.add("put", PathRejected("no such name here"), key="bad", times=None)
    result = world.sync()
    assert result.verdict is Verdict.PARTIAL
    assert result.execution is not None
    assert result.execution.quarantined == {"create": 1}
    assert "good" in world.contents()
    again = world.sync()
    assert again.verdict is Verdict.IN_SYNC
    assert again.plan is not None
    assert again.plan.quarantined == 1
    assert status(world.lake, "world").quarantined == 1


def test_a_path_that_keeps_failing_is_quarantined(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1, quarantine_after=3))
    world.put("a")
    world.files.faults.add("put", Unreachable("away"), times=None)
    for _ in range(3):
        world.sync()
    assert status(world.lake, "world").quarantined == 1
    world.forget_calls()
    world.sync()
    assert world.sent() == []
    world.close()


@pytest.mark.parametrize("damage", [Truncate(3), Corrupt()])
def test_damaged_content_never_becomes_a_file(world: World, damage: Truncate | Corrupt) -> None:
    world.put("a", b"old content")
    world.sync()
    world.put("a", b"new content")
    world.storage_faults.add("read", damage, times=2)
    assert world.sync().verdict is Verdict.PARTIAL
    assert world.contents() == {"a": b"old content"}
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_an_acknowledgement_that_contradicts_what_was_sent_is_none(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities={"probe": False})
    world.put("a", b"content")
    world.files.distort = lambda state: replace(state, size=3, fingerprint=None)
    assert world.sync().verdict is Verdict.PARTIAL
    assert world.lake.read("SELECT path FROM files WHERE source_etag IS NOT NULL") == []
    world.files.distort = None
    assert world.sync().verdict is Verdict.IN_SYNC
    world.close()


def test_a_lost_acknowledgement_is_made_good_by_a_probe(world: World) -> None:
    world.put("a", b"content")
    world.files.faults.add("put", LoseAnswer(Unreachable("the answer was lost")))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.sent() == ["put"]


def test_an_object_that_changes_after_it_was_planned_is_planned_again_in_the_same_run(world: World) -> None:
    world.put("a", b"first")
    world.storage_faults.add("read", lambda: _change(world, "a", b"second"))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == {"a": b"second"}


def test_an_object_that_vanishes_after_it_was_planned_is_no_failure(world: World) -> None:
    world.put("a", b"first")
    world.storage_faults.add("read", lambda: world.storage.delete("a"))
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == {}
    assert world.owed() == {}


def test_a_delete_is_not_sent_when_the_object_is_there_again(world: World) -> None:
    for name in "abc":
        world.put(name, name.encode())
    world.sync()
    world.storage.delete("a")
    # Asked for the first time it observes; asked just before the delete is sent the object is back.
    world.feed.publish(an_event(EventType.DELETE, "a"))
    world.storage_faults.add("head", lambda: _change(world, "a", b"back"), after=1)
    world.sync()
    assert world.contents() == world.wanted()
    assert "delete" not in world.sent()


def test_a_storage_that_refuses_single_keys_stops_no_others(world: World) -> None:
    world.sync()
    world.put("secret")
    world.put("open")
    world.storage_faults.add("head", AccessDenied("no"), key="secret", times=None)
    result = world.sync()
    assert result.verdict is Verdict.PARTIAL
    assert result.snapshot is not None
    assert result.snapshot.unobserved == 1
    assert list(world.contents()) == ["open"]
    assert list(world.owed()) == ["secret"]
    world.storage_faults.clear()
    assert world.sync().verdict is Verdict.IN_SYNC


def test_a_feed_that_is_down_fails_the_sync_and_loses_nothing(world: World) -> None:
    world.sync()
    world.put("a")
    world.feed.faults.add("receive", Unreachable("away"))
    with pytest.raises(Unreachable):
        world.sync()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


def test_a_file_manager_that_is_away_ends_the_run_early(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(retry_attempts=1))
    for number in range(200):
        world.put(f"{number:03}")
    world.files.faults.add("put", Unreachable("away"), times=None)
    with pytest.raises(Unreachable):
        world.sync()
    assert len(world.sent()) < 100
    world.files.faults.clear()
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    world.close()


def test_a_file_that_somebody_removed_from_the_file_manager_is_created_again(world: World) -> None:
    world.put("a", b"one")
    world.sync()
    del world.files.held.files["a"]
    world.put("a", b"two")
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()


# --- the delete guard ------------------------------------------------------------------------------


def test_too_many_deletes_are_held_and_everything_else_runs(world: World) -> None:
    for number in range(40):
        world.put(f"{number:02}", f"content {number}".encode())
    world.sync()
    for number in range(30):
        world.delete(f"{number:02}")
    world.put("new", b"new")
    result = world.sync()
    assert result.verdict is Verdict.HELD
    assert result.plan is not None
    assert result.plan.held == 30
    assert "max_delete_ratio" in (result.plan.guard_reason or "")
    assert len(world.contents()) == 41
    assert status(world.lake, "world").held == 30


@pytest.mark.real_lake
def test_many_small_batches_do_not_slip_under_the_guard(world: World) -> None:
    for number in range(40):
        world.put(f"{number:02}", f"content {number}".encode())
    world.sync()
    for start in range(0, 40, 10):
        for number in range(start, start + 10):
            world.delete(f"{number:02}")
        world.sync()
    assert len(world.contents()) == 20


def test_the_policy_keep_leaves_files_whose_object_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(deletes=DeletePolicy.KEEP))
    world.put("a", b"1")
    world.put("b", b"2")
    world.sync()
    world.delete("a")
    assert world.sync().verdict is Verdict.IN_SYNC
    world.storage.delete("b")
    result = world.sync(Mode.RECONCILE)
    assert result.verdict is Verdict.IN_SYNC
    assert sorted(world.contents()) == ["a", "b"]
    assert world.owed() == {}
    world.close()


# --- identity ---------------------------------------------------------------------------------------


@pytest.mark.real_lake
def test_a_changed_identity_stops_the_sync_until_it_is_accepted(world: World) -> None:
    world.put("a")
    world.sync()
    moved = world.session({"storage.bucket": "two", "file_manager.url": "here"})
    with pytest.raises(IdentityChanged, match=r"storage.bucket: 'one' is now 'two'"):
        engine_runs.begin(moved, run_id="r", mode=Mode.INCREMENTAL)
    engine_runs.accept_identity(moved, run_id="r")
    assert engine_runs.begin(moved, run_id="r2", mode=Mode.INCREMENTAL) is Mode.INCREMENTAL
    assert world.lake.read("SELECT key FROM objects") == []
    assert world.lake.read("SELECT path, source_etag FROM files") == [("a", None)]


# --- what is told -----------------------------------------------------------------------------------


def test_the_file_manager_is_told_how_it_went(world: World) -> None:
    world.put("a", b"12345")
    world.sync()
    report = world.files.held.reports[-1]
    assert report["sync_type"] == "initial"
    assert report["success"] is True
    assert report["statistics"]["files_processed"] == 1
    assert report["statistics"]["total_size"] == 5
    assert report["service"]["integration"] == "world"


def test_a_failed_run_is_told_too(world: World) -> None:
    world.storage_faults.add("list", AccessDenied("the key is wrong"))
    with pytest.raises(AccessDenied):
        world.sync()
    report = world.files.held.reports[-1]
    assert report["success"] is False
    assert "the key is wrong" in report["errors"][0]["error"]


def test_a_report_that_is_not_taken_does_not_fail_the_sync(world: World) -> None:
    world.files.faults.add("report", Unreachable("away"))
    result = world.sync()
    assert result.verdict is Verdict.IN_SYNC
    assert "away" in (result.report_error or "")
