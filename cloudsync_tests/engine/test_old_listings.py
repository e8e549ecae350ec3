"""What an interrupted run has listed is not listed again; what has changed since is looked for, by events or a scan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Control
from cloudsync_pipeline.engine.listing import OLDER, list_bucket
from cloudsync_pipeline.engine.results import Mode, SyncResult
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_tests.engine.world import World


def run(world: World, control: Control) -> SyncResult:
    session = replace(world.session(), control=control)
    return asyncio.run(sync(session, Mode.RECONCILE, run_id=new_run_id()))


@pytest.mark.parametrize("with_feed", [False, True])
def test_a_change_after_an_old_listing_is_brought_by_its_event_or_by_a_scan_that_is_due_at_once(
    tmp_path: Path, *, with_feed: bool
) -> None:
    world = World(tmp_path, with_feed=with_feed)
    try:
        with Control.open(f"sqlite:///{tmp_path}/control.sqlite") as control:
            control.ensure("world")
            run(world, control)
            world.put("before")
            asyncio.run(list_bucket(world.session(), run_id="killed"))
            world.put("after")
            resumed = run(world, control)
            assert resumed.listing is not None
            assert resumed.listing.reused
            asked = control.get("world")
            if with_feed:
                assert not asked.scan_requested
            else:
                assert world.contents().keys() == {"before"}
                assert (asked.scan_requested, asked.scan_reason) == (True, OLDER)
                run(world, control)
                assert not control.get("world").scan_requested
            assert world.contents() == world.wanted()
    finally:
        world.close()
