"""SIGTERM, Ctrl-C and Dagster's Terminate end a sync amid a large transfer, in order and soon."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control import holder
from cloudsync_tests.e2e.builders import a_bucket, a_deployment, into_folder
from cloudsync_tests.reliability.faults_proxy import Fault, Proxy, proxy
from cloudsync_tests.reliability.kills_dagster import dagster_runs
from cloudsync_tests.reliability.kills_process import Child, Preloaded
from cloudsync_tests.reliability.kills_world import NAME, Folder, World, arguments
from cloudsync_tests.servers import S3Server

pytestmark = pytest.mark.timeout(1500)
WITHIN = 30.0


@pytest.fixture
def stalling(tmp_path: Path, seaweedfs: S3Server) -> Iterator[tuple[World, Proxy]]:
    """A first sync in which the large object's rest does not come."""
    bucket = a_bucket(seaweedfs)
    with proxy(seaweedfs.endpoint) as between:
        deployment = a_deployment(tmp_path / "deployment")
        through = replace(bucket, server=replace(seaweedfs, endpoint=between.url))
        deployment.add(NAME, through.as_yaml(), into_folder(tmp_path / "files"))
        world = World(deployment, bucket, Folder(tmp_path / "files")).filled()
        world.put("large", 8_000_000)
        ended = threading.Event()
        # Far enough for a part of it to be on the disk: what was read last is still held back, and pieces are gathered.
        half = Fault(cut_answer=6_000_000, stall=ended)
        between.rule = lambda request: half if urlsplit(request.target).path.endswith("/large") else None
        yield world, between
        ended.set()


def amid(world: World, child: Child) -> float:
    """Wait until the small files are there and a part of the large one is; the moment."""
    until = time.monotonic() + 200
    while time.monotonic() < until:
        arrived = world.destination.contents()
        staged = [Path(one) for one in world.destination.rest()]
        if len(arrived) == 6 and any(one.is_file() and one.stat().st_size > 1_000_000 for one in staged):
            return time.monotonic()
        time.sleep(0.05)
    child.kill()
    raise AssertionError(f"it did not come so far: {child.wait().log}")


def require_in_order(world: World) -> None:
    """Nothing half, nothing unfinished, nothing locked; what was confirmed is recorded."""
    assert world.destination.rest() == []
    assert set(world.destination.contents()) == {f"first/{number}.txt" for number in range(6)}
    world.require_whole()
    with world.lake() as lake:
        assert lake.scalar("SELECT count(*) FROM files") == 6
        assert [path for (path,) in lake.read("SELECT path FROM owed WHERE aspect = 'content'")] == ["large"]
        assert lake.scalar("SELECT verdict FROM runs ORDER BY started_at DESC LIMIT 1") == "failed"
    assert holder(load_fleet(world.deployment.config).settings.integration_folder(NAME)) is None


def test_a_signal_ends_the_command(stalling: tuple[World, Proxy], tmp_path: Path) -> None:
    world, between = stalling
    with Preloaded("command", tmp_path) as command:
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            child = command.start(*arguments(world, "initial-sync"))
            asked = amid(world, child)
            child.kill(number)
            ended = child.wait()
            assert time.monotonic() - asked < WITHIN
            assert ended.code == code, ended.log
            assert "stays owed" in ended.log
            require_in_order(world)
        between.rule = lambda _: None
        assert command.run(*arguments(world, "reconcile")).code == 0
    world.require_in_step()


def test_terminate_ends_a_run_of_dagster(stalling: tuple[World, Proxy], tmp_path: Path) -> None:
    """What Dagster's launchers do to terminate a run: they record that it is canceling, and interrupt its worker."""
    world, between = stalling
    with dagster_runs(world, tmp_path) as runs:
        run_id, order = runs.create("initial_sync")
        child = runs.worker.start(order)
        asked = amid(world, child)
        runs.report_canceling(run_id)
        child.kill(signal.SIGINT)
        ended = child.wait()
        assert time.monotonic() - asked < WITHIN
        assert runs.status(run_id) is dg.DagsterRunStatus.CANCELED, ended.log
        require_in_order(world)
        between.rule = lambda _: None
        run_id, ended = runs.execute("reconcile")
        assert runs.status(run_id) is dg.DagsterRunStatus.SUCCESS, ended.log
    world.require_in_step()
