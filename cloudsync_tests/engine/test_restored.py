"""A lake that is older than the file manager: what it believes is held against the truth before anything is planned."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import StateError, Unavailable
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.engine.plan import make_plan
from cloudsync_pipeline.engine.removal import delete_files
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.file_managers.memory import StoredFile
from cloudsync_pipeline.lake import restored
from cloudsync_tests.engine.world import World

BEFORE = datetime.now(UTC)
AN_HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose lake was copied (to `copy`) an hour after a first sync, and that synced every kind of change since.

    It is looked at and copied, never used.
    """
    world = World(tmp_path_factory.mktemp("past"), real_lake=True)
    for name in ("kept", "changed", "deleted", "renamed", "moved-away", "wished"):
        world.put(name, f"content of {name}".encode())
    world.change_permissions("wished", "rw-------")
    world.sync()
    for file in world.files.held.files.values():
        file.saved_at -= AN_HOUR
    world.close()
    shutil.copytree(world.folder / "lake", world.folder / "copy")

    world.put("created", b"new")
    world.put("changed", b"other content")
    world.delete("deleted")
    world.rename("renamed", "renamed-since")
    world.put("passing", b"comes and goes")
    world.sync()
    world.delete("passing")
    world.rename("moved-away", "kept-2")
    world.put("renamed", b"another one of an old name")
    world.change_permissions("wished", "r--r--r--")
    world.sync()
    world.close()
    assert world.contents() == world.wanted()
    return world


@pytest.fixture
def remains(past: World, tmp_path: Path) -> Iterator[World]:
    world = with_its_old_lake(past, tmp_path)
    yield world
    world.close()


def with_its_old_lake(past: World, folder: Path, **capabilities: object) -> World:
    """The world as it is now, beside the lake as it was."""
    world = World(
        folder,
        capabilities=capabilities,
        bucket=copy.deepcopy(past.bucket),
        feed=copy.deepcopy(past.feed),
        real_lake=True,
    )
    world.files.held.files.update(copy.deepcopy(past.files.held.files))
    world.files.held._ids = copy.deepcopy(past.files.held._ids)
    shutil.copytree(past.folder / "copy", folder / "lake")
    restored.mark(world.lake, "restore", backup_at=BEFORE, now=datetime.now(UTC))
    return world


def test_nothing_is_planned_before_the_file_manager_was_asked(remains: World) -> None:
    with pytest.raises(StateError, match=r"restored from the backup of .* UTC, and has not been held"):
        asyncio.run(make_plan(remains.session(), run_id="alone"))
    with pytest.raises(StateError, match="not been held against the file manager"):
        asyncio.run(delete_files(remains.session(), run_id="removal"))
    # It breaks off while it is asked: nothing is concluded.
    remains.files.faults.add("list", Unavailable("away"))
    with pytest.raises(Unavailable):
        remains.sync()
    assert restored.read_mark(remains.lake) is not None
    assert remains.sent() == []
    assert remains.contents() == remains.wanted()


@pytest.mark.parametrize("lists", [True, False])
def test_both_ends_are_equal_and_nothing_is_sent_that_is_there(past: World, tmp_path: Path, lists: bool) -> None:
    world = with_its_old_lake(past, tmp_path, list=lists)
    ids = world.ids()
    result = world.sync(Mode.INCREMENTAL)
    assert result.verdict is Verdict.IN_SYNC
    assert result.mode is Mode.RECONCILE
    assert result.snapshot is not None
    assert result.snapshot.drift is None
    assert world.contents() == world.wanted()
    assert world.ids() == ids
    assert set(world.sent()) <= {"set_permissions"}
    assert world.files.held.files["wished"].permissions.permissions == "r--r--r--"
    assert world.owed() == {}
    world.check_debts()
    assert restored.read_mark(world.lake) is None
    world.close()


def test_what_changed_after_the_last_sync_is_brought_over_and_what_nobody_can_explain_stays(
    past: World, tmp_path: Path
) -> None:
    world = with_its_old_lake(past, tmp_path)
    # The feed has forgotten everything.
    world.feed.lose()
    world.delete("kept")
    world.put("changed", b"content three")
    world.rename("renamed-since", "renamed-again")
    world.feed.lose()
    # It was renamed by a sync that the lake knows nothing of: its id tells that it is ours.
    world.storage.delete("kept-2")
    world.storage.delete("created")  # Nobody knows where this file came from.
    held = world.files.held.files
    held["stray"] = StoredFile(b"?", "x1", BEFORE - AN_HOUR)
    # A sync deleted the file of this name, and then a person put another one there.
    held["deleted"] = StoredFile(b"a person's", "x2", datetime.now(UTC))
    world.forget_calls()
    assert world.sync().verdict is Verdict.IN_SYNC
    there, wanted = world.contents(), world.wanted()
    assert {path: content for path, content in there.items() if path in wanted} == wanted
    assert there.keys() - wanted.keys() == {"created", "deleted", "stray"}
    quarantined = "SELECT path, last_error FROM owed WHERE quarantined_at IS NOT NULL ORDER BY path"
    assert world.lake.read(quarantined) == [("created", restored.DOUBTFUL), ("deleted", restored.DOUBTFUL)]
    assert [call.path for call in world.files.calls if call.operation == "put"] == ["changed"]
    # What was asked for before the backup was changed since, and is not set back.
    assert world.files.held.files["wished"].permissions == Permissions("r--r--r--", "files", "files")
    assert "set_permissions" not in world.sent()
    world.close()


def test_a_file_manager_that_tells_nothing_gets_everything_again(past: World, tmp_path: Path) -> None:
    world = with_its_old_lake(past, tmp_path, list=False, probe=False)
    world.sync()
    assert {path: world.contents()[path] for path in world.wanted()} == world.wanted()
    assert world.sent().count("put") == len(world.wanted())
    world.close()


def test_without_digests_what_was_saved_before_the_backup_is_not_sent_again(past: World, tmp_path: Path) -> None:
    world = with_its_old_lake(past, tmp_path, content_hash=False)
    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    sent = {call.path for call in world.files.calls if call.operation == "put"}
    assert sent == {"created", "changed", "renamed", "renamed-since", "kept-2"}
    world.close()
