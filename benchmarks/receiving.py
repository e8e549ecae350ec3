"""Receiving alone, by the client that storages are read with and by aiohttp: small objects, and parts of large ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import World

OURS, AIOHTTP = "our client", "aiohttp"


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Many small objects, then parts of a few large ones."""
    small = Contents("small", size["objects"], size["bytes"], size["folders"])
    large = Contents("whole", size["large_objects"], size["large_bytes"])
    yield _task(world, small, small.size, f"{small.objects:,} x {small.size:,} bytes")
    what = f"{large.objects} x {large.size / 2**20:.0f} MiB by parts of {size['part'] / 2**20:.0f}"
    yield _task(world, large, size["part"], what)


def _task(world: World, contents: Contents, part: int, what: str) -> Task:
    bucket = world.bucket(contents)
    keys = world.server.credentials
    told = world.folder / f"receive-{contents.name}.json"
    told.touch(mode=0o600)
    told.write_text(
        json.dumps(
            {
                "storage": f"{world.server.endpoint}/{bucket}",
                "access_key": keys.access_key,
                "secret_key": keys.secret_key,
                "keys": [contents.key(number) for number in range(contents.objects)],
                "size": contents.size,
                "part": part,
            }
        )
    )
    title = f"{what} received, and nothing done with them: CPU"
    goals = (Goal(title, OURS, (AIOHTTP,), 1.0, "cpu"),)
    samples = world.in_turn(
        [
            Contestant(AIOHTTP, [sys.executable, "-m", "benchmarks.receive", "aiohttp", str(told)]),
            Contestant(OURS, [sys.executable, "-m", "benchmarks.receive", "ours", str(told)]),
        ],
        goals,
    )
    return Task(title, samples, goals)


BENCHMARK = Benchmark(
    "receiving",
    "objects received and thrown away, by our own client and by aiohttp",
    {
        "tiny": {
            "objects": 60,
            "bytes": 8192,
            "folders": 2,
            "large_objects": 2,
            "large_bytes": 3 * 2**20,
            "part": 2**20,
        },
        "small": {
            "objects": 2_000,
            "bytes": 8192,
            "folders": 20,
            "large_objects": 4,
            "large_bytes": 64 * 2**20,
            "part": 4 * 2**20,
        },
        "full": {
            "objects": 10_000,
            "bytes": 8192,
            "folders": 20,
            "large_objects": 4,
            "large_bytes": 512 * 2**20,
            "part": 4 * 2**20,
        },
    },
    run,
)
