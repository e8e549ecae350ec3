"""Lives of an integration in which its processes are killed at any moment: briefly always, for long in `make soak`."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_tests.e2e.builders import HTTP_FEED, a_bucket, a_deployment, into_folder
from cloudsync_tests.reliability.budget import seeds
from cloudsync_tests.reliability.kills_process import Preloaded
from cloudsync_tests.reliability.kills_world import NAME, Folder, Server, World, arguments
from cloudsync_tests.servers import S3Server

pytestmark = pytest.mark.timeout(1500)
POLICY = "policy: {max_delete_ratio: 1}\n"
KILLS = 2
"""In one life, before it is let through."""
KILLED = "processes killed"
KILLS_IN_A_SOAK = 25
"""Of each of the two tests, however short the soak."""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    with Preloaded("command", tmp_path_factory.mktemp("logs")) as process:
        yield process


@pytest.mark.soak
def test_lives_of_a_folder(tmp_path: Path, seaweedfs: S3Server, command: Preloaded, tally: Counter[str]) -> None:
    for seed in seeds(1, enough=lambda: tally[KILLED] >= KILLS_IN_A_SOAK):
        here = tmp_path / str(seed)
        deployment, bucket = a_deployment(here / "deployment"), a_bucket(seaweedfs)
        deployment.add(NAME, bucket.as_yaml(), into_folder(here / "files"), POLICY)
        live(World(deployment, bucket, Folder(here / "files"), rng=random.Random(seed)), "reconcile", command, tally)


@pytest.mark.soak
def test_lives_of_a_file_manager(tmp_path: Path, seaweedfs: S3Server, command: Preloaded, tally: Counter[str]) -> None:
    for seed in seeds(1, enough=lambda: tally[KILLED] >= KILLS_IN_A_SOAK):
        here = tmp_path / str(seed)
        deployment, bucket = a_deployment(here / "deployment"), a_bucket(seaweedfs)
        with devserver.running(here / "file-manager", fsync=False) as server:
            into = f"file_manager: {{type: http_api, url: '{server.url}'}}\n"
            deployment.add(NAME, bucket.as_yaml(), into, HTTP_FEED, POLICY)
            world = World(deployment, bucket, Server(server), feed=server, rng=random.Random(seed))
            live(world, "incremental-sync", command, tally)


def live(world: World, how: str, command: Preloaded, tally: Counter[str]) -> None:
    """A first sync and some more, each killed at random moments until one of them comes through."""
    world.filled()
    takes = through(world, how, command, tally)
    kills = 0
    while kills < KILLS:
        for _ in range(world.rng.choice((1, 1, 3))):
            world.change()
        child = command.start(*arguments(world, how))
        # A moment within what the last one took that was let through.
        time.sleep(world.rng.uniform(0.02, 1.0) * takes)
        child.kill()
        ended = child.wait()
        world.require_whole()
        if ended.killed:
            kills += 1
            tally[KILLED] += 1
        if world.rng.random() < 0.5:
            world.change()
        if world.rng.random() < 0.7:
            takes = through(world, how, command, tally)
    through(world, how, command, tally)


def through(world: World, how: str, command: Preloaded, tally: Counter[str]) -> float:
    """A sync that nobody kills makes everything good; the seconds that it took.

    Where it used what a killed one had listed, and nothing tells what has changed since, it asks for one more.
    """
    began = time.monotonic()
    ended = command.run(*arguments(world, how))
    took = time.monotonic() - began
    assert ended.code == 0, ended.log
    if world.asks_for_a_scan():
        ended = command.run(*arguments(world, how))
        assert ended.code == 0, ended.log
        assert not world.asks_for_a_scan()
    world.require_in_step()
    tally["processes that came through"] += 1
    return took
