"""Receiving alone, by the client that storages are read with and by aiohttp: small objects, and parts of large ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import World, alone

OURS, AIOHTTP = "our client", "aiohttp"


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Many small objects, then parts of a few large ones."""
    small = Contents("small", size["objects"], size["bytes"], size["folders"])
    large = Contents("whole", size["large_objects"], size["large_bytes"])
    yield _task(world, small, small.size, f"{small.objects:,} x {small.size:,} bytes")
    what = f"{large.objects} x {large.size / 2**20:.0f} MiB by parts of {size['part'] / 2**20:.0f}"
    yield _task(world, large, size["part"], what)


def _task(world: World, contents: Contents, part: int, what: str) -> Task:
    world.bucket(contents)
    told = world.told(f"receive-{contents.name}.json", contents, size=contents.size, part=part)
    title = f"{what} received, and nothing done with them: CPU"
    goals = (Goal(title, OURS, (AIOHTTP,), 1.0, "cpu"),)
    samples = world.in_turn(
        [
            Contestant(AIOHTTP, alone("receive", "aiohttp", str(told))),
            Contestant(OURS, alone("receive", "ours", str(told))),
        ],
        goals,
    )
    return Task(title, samples, goals)


_ALIKE = {"bytes": 8192, "folders": 20, "large_objects": 4, "part": 4 * 2**20}

BENCHMARK = Benchmark(
    "receiving",
    "objects received and thrown away, by our own client and by aiohttp",
    {
        "tiny": {**_ALIKE, "objects": 60, "folders": 2, "large_objects": 2, "large_bytes": 3 * 2**20, "part": 2**20},
        "small": {**_ALIKE, "objects": 2_000, "large_bytes": 64 * 2**20},
        "full": {**_ALIKE, "objects": 10_000, "large_bytes": 512 * 2**20},
    },
    run,
)
