"""The initial sync of a few large objects: where their MD5 is known to both sides, and where only ours hashes them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import REMOTE, World, cloudsync, emptied, engine

COMMAND, ENGINE = "cloudsync initial-sync", "engine alone"
FEW, MANY = "rclone sync", "rclone sync, 8 streams a file"
LIMIT = 200e6
"""Bytes of memory that a sync may take, however large the files."""


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Objects that one PUT stored, whose ETag is their MD5, and objects of several parts."""
    for parts, how, at_most in ((False, "both verify MD5", 1.1), (True, "only ours hashes", 1.5)):
        contents = Contents("parts" if parts else "whole", size["objects"], size["bytes"], parts=parts)
        bucket = world.bucket(contents)
        title = f"{contents.objects} x {contents.size / 2**20:.0f} MiB to disk, {how}"
        yield _sync(world, bucket, title, at_most)


def _sync(world: World, bucket: str, title: str, at_most: float) -> Task:
    state, ours_at, peer_at = world.folder / "state", world.folder / "ours", world.folder / "peer"
    ours = world.ours(world.storage(bucket), {"type": "local", "path": str(ours_at)}, state)

    def rclone(name: str, *flags: str) -> Contestant:
        command = world.rclone("sync", f"{REMOTE}:{bucket}", str(peer_at), *flags)
        return Contestant(name, command, world.rclone_environment, lambda: emptied(peer_at, ours_at))

    def fresh() -> None:
        emptied(state, ours_at, peer_at)

    goals = (
        Goal(title, COMMAND, (FEW, MANY), at_most),
        Goal(f"memory, beside {LIMIT / 1e6:.0f} MB", COMMAND, (), 1.0, "peak", LIMIT),
    )
    samples = world.in_turn(
        [
            rclone(FEW),
            rclone(MANY, "--multi-thread-streams=8"),
            *world.s5cmd(
                "s5cmd cp", "cp", f"s3://{bucket}/*", f"{peer_at}/", prepare=lambda: emptied(peer_at, ours_at)
            ),
            Contestant(COMMAND, cloudsync("initial-sync", "--direct"), ours, fresh),
            Contestant(ENGINE, engine("initial"), ours, fresh, tells=True),
        ],
        goals,
    )
    for folder in (state, ours_at, peer_at):
        shutil.rmtree(folder)
    return Task(title, samples, goals)


BENCHMARK = Benchmark(
    "large_files",
    "the initial sync of a few large objects, beside `rclone sync`",
    {
        "tiny": {"objects": 2, "bytes": 3 * 2**20},
        "small": {"objects": 4, "bytes": 64 * 2**20},
        "full": {"objects": 4, "bytes": 512 * 2**20},
    },
    run,
)
