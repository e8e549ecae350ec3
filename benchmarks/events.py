"""An incremental sync: what it takes must grow with the events, not with the objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.measure import Contestant
from benchmarks.state import copied, made
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import World, alone


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """The same events on a small lake and on a large one."""
    events = size["events"]
    contestants = []
    for objects in (size["objects"], size["many_objects"]):
        folder = made(world, objects)
        contestants.append(
            Contestant(
                f"on {objects:,} objects",
                alone("events_engine", str(folder), str(objects), str(events)),
                prepare=lambda folder=folder: copied(folder),  # type: ignore[misc]  # bound now, not when called
                tells=True,
            )
        )
    few, many = (contestant.name for contestant in contestants)
    title = f"incremental sync of {events:,} events"
    goals = (
        Goal(f"{title}, {many} beside {few}", many, (few,), 1.2),
        Goal(f"{title}: CPU", many, (few,), 1.2, "cpu"),
    )
    note = "Storage, feed and file manager are in memory; a sync that lists fails the measurement."
    yield Task(title, world.in_turn(contestants), goals, note)


BENCHMARK = Benchmark(
    "events",
    "an incremental sync of some events on a small lake and on a large one",
    {
        "tiny": {"objects": 1_000, "many_objects": 2_000, "events": 10},
        "small": {"objects": 20_000, "many_objects": 200_000, "events": 1_000},
        "full": {"objects": 100_000, "many_objects": 1_000_000, "events": 1_000},
    },
    run,
)
