"""Syncs whose lake has its catalog in PostgreSQL and its files in a bucket: what they do is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import Rejected
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.lake import Lake
from cloudsync_tests.engine.world import World
from cloudsync_tests.lake.places import places


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    location = places("cluster", tmp_path, request)("world")
    made = World(tmp_path, lake_kept=Lake.open(location, integration="world", fence_number=1))
    yield made
    made.check_debts()
    made.close()


def test_changes_of_every_kind_come_over_and_failures_stay_owed(world: World) -> None:
    for name in ("same", "changed", "gone", "old name"):
        world.put(name, name.encode())
    assert world.sync().mode is Mode.INITIAL
    kept = world.ids()["old name"]

    world.put("new", b"new")
    world.put("changed", b"other")
    world.delete("gone")
    world.rename("old name", "new name")
    world.change_permissions("same", "rwx------")
    world.files.faults.add("put", Rejected("no"), key="new")
    assert world.sync().verdict is Verdict.PARTIAL
    assert world.owed().keys() == {"new"}
    assert world.contents() == {"same": b"same", "changed": b"other", "new name": b"old name"}
    assert world.ids()["new name"] == kept
    assert world.files.held.files["same"].permissions.permissions == "rwx------"

    world.storage.put("unannounced", b"x")
    result = world.sync(Mode.RECONCILE)
    assert result.verdict is Verdict.IN_SYNC
    assert result.snapshot is not None
    assert result.snapshot.drift == 1
    assert world.contents() == world.wanted()
    world.forget_calls()
    for mode in Mode:
        assert world.sync(mode).verdict is Verdict.IN_SYNC
    assert world.sent() == []


def test_many_deletes_are_held(world: World) -> None:
    for number in range(24):
        world.put(f"f{number}")
    world.sync()
    for number in range(20):
        world.delete(f"f{number}")
    world.put("else", b"new")
    assert world.sync().verdict is Verdict.HELD
    assert len(world.contents()) == 25
