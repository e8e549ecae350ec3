"""Drift on the file manager's side: found, told, and made good by the next sync."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import CapabilityMissing
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.engine.results import Verdict
from cloudsync_pipeline.engine.verify import VerifyResult, verify
from cloudsync_tests.engine.world import World


def run(world: World, *, sample: int | None = None, repair: bool = False) -> VerifyResult:
    return asyncio.run(verify(world.session(), run_id="v", sample=sample, repair=repair))


def drifted(world: World) -> None:
    """A file lost, one with other content, one with other permissions, and one that nobody synced."""
    for name in ("lost", "changed", "locked", "fine"):
        world.put(name, name.encode())
    world.sync()
    held = world.files.held.files
    del held["lost"]
    held["changed"].content = b"somebody else's"
    held["locked"].permissions = Permissions("r--------", "files", "files")
    held["stray"] = held["fine"].__class__(b"?", "x1", held["fine"].saved_at)


@pytest.mark.parametrize("lists", [True, False])
def test_every_kind_of_drift_is_found(tmp_path: Path, lists: bool) -> None:
    world = World(tmp_path, capabilities={"list": lists})
    drifted(world)
    result = run(world)
    strays = {"stray": 1} if lists else {}
    assert result.by_kind == {"content": 1, "missing": 1, "permissions": 1, **strays}
    assert result.whole is lists
    assert {one.path for one in result.examples} >= {"lost", "changed", "locked"}
    assert result.owed == 0
    assert world.owed() == {}
    world.close()


@pytest.mark.real_lake
def test_repair_owes_the_drift_and_the_next_sync_makes_it_good(world: World) -> None:
    drifted(world)
    assert run(world, repair=True).owed == 3
    assert world.sync().verdict is Verdict.IN_SYNC
    stray = {"stray": b"?"}
    assert world.contents() == world.wanted() | stray
    assert run(world).by_kind == {"stray": 1}


def test_permissions_that_were_asked_for_are_set_again(world: World) -> None:
    world.put("a")
    world.sync()
    world.change_permissions("a", "rw-------")
    world.sync()
    world.files.held.files["a"].permissions = Permissions("rwxrwxrwx")
    run(world, repair=True)
    world.sync()
    assert world.files.held.files["a"].permissions.permissions == "rw-------"


@pytest.mark.real_lake
def test_a_kept_file_without_an_object_differs_once(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(deletes=DeletePolicy.KEEP))
    world.put("a", b"content")
    world.sync()
    world.delete("a")
    world.sync()
    world.files.held.files["a"].content = b"somebody else's content"
    assert run(world, repair=True).by_kind == {"content": 1}
    world.sync()
    assert run(world, repair=True).by_kind == {}
    assert world.owed() == {}
    world.close()


def test_a_sample_looks_at_so_many_files_only(world: World) -> None:
    for number in range(20):
        world.put(f"{number}")
    world.sync()
    result = run(world, sample=5)
    assert result.looked_at == 5
    assert result.differences == 0


def test_a_file_manager_that_cannot_be_asked_is_an_error(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities={"list": False, "probe": False})
    with pytest.raises(CapabilityMissing, match="cannot be asked"):
        run(world)
    world.close()
