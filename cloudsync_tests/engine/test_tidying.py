"""A sync joins small files once there are many; that it cannot is no failure."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.core.errors import StorageFull
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.lake import tidying
from cloudsync_tests.engine.world import World


@pytest.mark.real_lake
def test_many_syncs_leave_few_files_and_the_same_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "MANY_FILES", 3)
    for number in range(8):
        world.put(f"new {number}", b"x" * number)
        world.put("changed", b"y" * number)
        if number % 2:
            world.delete(f"new {number - 1}")
        assert world.sync().verdict is Verdict.IN_SYNC
        assert world.contents() == world.wanted()
    joined = [one for one in world.lake.snapshots(1000) if (one.message or "").startswith("tidy")]
    assert len(joined) >= 3
    assert world.sync(Mode.RECONCILE).plan.operations == 0  # type: ignore[union-attr]
    assert world.owed() == {}


@pytest.mark.real_lake
def test_where_files_cannot_be_joined_the_sync_is_what_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(type(world.lake), "tidy", full)
    world.put("a")
    result = world.sync()
    assert result.verdict is Verdict.IN_SYNC
    assert "The disk is full" in caplog.text
