"""The state of many objects, without a storage: a listing of which a part is new, merged and planned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import World, alone

MERGE_AND_PLAN, JOIN = "merge and plan", "bare join"
FEW, MANY = 1, 50
"""Of a hundred objects, how many are changed; at most one in a hundred is added, and one removed."""
ROOM = {FEW: 1000, MANY: 2000}
"""Megabytes that the process may take."""
LIMIT = {FEW: "640MB", MANY: "1000MB"}
"""What DuckDB is allowed of these, ours and bare: the rest is Python, Arrow, and what DuckDB does not count."""


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """One lake of each size, and from each the same two changes."""
    for objects in dict.fromkeys((size["objects"], size["many_objects"])):
        folder = made(world, objects, (0, FEW, MANY))
        for percent in (FEW, MANY):
            yield _changed(world, folder, objects, percent)
        shutil.rmtree(folder / "work")


def _changed(world: World, folder: Path, objects: int, percent: int) -> Task:
    def engine(what: str) -> list[str]:
        return alone("state_engine", what, str(folder), str(percent), LIMIT[percent])

    title = f"state of {objects:,} objects, {percent} % changed"
    contestants = [
        Contestant(JOIN, engine("join"), tells=True),
        Contestant(MERGE_AND_PLAN, engine("plan"), prepare=lambda: copied(folder), tells=True),
    ]
    goals = (
        Goal(f"{title}: time", MERGE_AND_PLAN, (JOIN,), 2.0),
        Goal(f"{title}: CPU", MERGE_AND_PLAN, (JOIN,), 2.0, "cpu"),
        Goal(f"{title}: memory, beside {ROOM[percent]} MB", MERGE_AND_PLAN, (), 1.0, "peak", ROOM[percent] * 1e6),
    )
    note = f"Both in whole processes, DuckDB limited to {LIMIT[percent]}; the join reads two bare Parquet files."
    return Task(title, world.in_turn(contestants), goals, note)


def made(world: World, objects: int, percentages: tuple[int, ...] = ()) -> Path:
    """The folder of a lake of so many objects and of its listings; made where it is not there yet."""
    folder = world.data / f"state-{objects}"
    if not (folder / "lake").exists():
        print(f"making a lake of {objects:,} objects", flush=True)
    # Not in this process: what it takes of memory would count for every one that it starts.
    command = [sys.executable, "-m", "benchmarks.made_lake", str(folder), str(objects), *map(str, percentages)]
    subprocess.run(command, check=True)
    return folder


def copied(folder: Path) -> None:
    """Put a fresh `work` beside `lake`. Parquet files are never changed, so that links do."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)

    def link(source: str, target: str) -> None:
        copy = os.link if source.endswith(".parquet") else shutil.copyfile
        copy(source, target)

    shutil.copytree(folder / "lake", work, copy_function=link)


BENCHMARK = Benchmark(
    "state",
    "millions of objects merged and planned, beside a bare join of the same rows by DuckDB",
    {
        "tiny": {"objects": 2_000, "many_objects": 2_000},
        "small": {"objects": 100_000, "many_objects": 1_000_000},
        "full": {"objects": 1_000_000, "many_objects": 10_000_000},
    },
    run,
)
