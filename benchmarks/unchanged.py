"""A full scan of a bucket in which nothing changed since the last sync."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.measure import run as run_once
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import INTEGRATION, REMOTE, World, cloudsync, emptied, engine

COMMAND, ENGINE = "cloudsync reconcile", "engine alone"
SIZES, TIMES, CHECK = "rclone sync --size-only", "rclone sync, server times", "rclone check --size-only"
TIMES_AS_MANY = 5
ROOM = 500e6
"""Bytes of memory that a full scan of the larger bucket may take."""
FLAGS = ("--fast-list", "--checkers=32")


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Beside rclone over the same files; then ours alone, of few and of many objects."""
    yield _beside_rclone(world, size)
    yield _growth(world, size["objects"], TIMES_AS_MANY * size["objects"])


def _beside_rclone(world: World, size: Mapping[str, int]) -> Task:
    """One initial sync that is not measured, then scans of both sides."""
    contents = Contents("many", size["objects"], 8, size["folders"])
    bucket = world.bucket(contents)
    state, destination = world.folder / "unchanged-state", world.folder / "unchanged"
    emptied(state, destination)
    ours = world.ours(world.storage(bucket), {"type": "local", "path": str(destination)}, state)
    print(f"the sync before: {contents.objects:,} objects", flush=True)
    run_once(Contestant("the sync before", cloudsync("initial-sync", "--direct"), ours), world.log)
    both = (f"{REMOTE}:{bucket}", str(destination / INTEGRATION))

    def rclone(name: str, *arguments: str) -> Contestant:
        return Contestant(name, world.rclone(*arguments, *FLAGS), world.rclone_environment)

    return Task(
        f"full scan of {contents.objects:,} objects, nothing changed",
        world.in_turn(
            [
                rclone(SIZES, "sync", *both, "--size-only"),
                rclone(TIMES, "sync", *both, "--update", "--use-server-modtime"),
                rclone(CHECK, "check", *both, "--size-only"),
                Contestant(COMMAND, cloudsync("reconcile", "--direct"), ours),
                Contestant(ENGINE, engine("reconcile"), ours, tells=True),
            ]
        ),
        (
            Goal("full scan, nothing changed, whole process", COMMAND, (SIZES, TIMES, CHECK), 0.6),
            Goal("CPU of a full scan", COMMAND, (SIZES, TIMES, CHECK), 1.0, "cpu"),
        ),
    )


def _growth(world: World, few: int, many: int) -> Task:
    """Against servers that make their listings up, on lakes in which every object has its file."""
    contestants = []
    for objects in (few, many):
        state, destination = world.folder / f"settled-{objects}", world.folder / "settled"
        emptied(state, destination)
        storage = world.storage("made-up", endpoint=world.made_up(objects))
        ours = world.ours(storage, {"type": "local", "path": str(destination)}, state)
        run_once(Contestant("settle", engine("settle"), ours, tells=True), world.log)
        contestants.append(Contestant(f"{objects:,} objects", cloudsync("reconcile", "--direct"), ours))
    names = [contestant.name for contestant in contestants]
    goals = (
        Goal(f"full scan, nothing changed, {names[1]} beside {names[0]}", names[1], (names[0],), TIMES_AS_MANY),
        Goal(f"memory of a full scan of {names[1]}, beside {ROOM / 1e6:.0f} MB", names[1], (), 1.0, "peak", ROOM),
    )
    return Task("full scans, nothing changed", world.in_turn(contestants), goals)


BENCHMARK = Benchmark(
    "unchanged",
    "a full scan in which nothing changed, beside rclone at its best flags; and of five times as many objects",
    {
        "tiny": {"objects": 200, "folders": 2},
        "small": {"objects": 20_000, "folders": 20},
        "full": {"objects": 200_000, "folders": 20},
    },
    run,
)
