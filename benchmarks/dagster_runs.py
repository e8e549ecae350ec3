"""What Dagster costs: loading the definitions, one run that has nothing to do, many integrations every five minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from benchmarks import fleet
from benchmarks.measure import Contestant, Sample, median
from benchmarks.measure import run as run_once
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import World, cloudsync, emptied
from cloudsync_pipeline import devserver

IMPORT, DEFINITIONS, EMPTY_RUN = "import dagster", "definitions", "empty incremental run"
LOAD = "from cloudsync_pipeline.definitions import defs; defs()"


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Definitions beside `import dagster`; then a fleet whose integrations all have nothing new."""
    yield Task(
        "definitions",
        world.in_turn(
            [
                Contestant(IMPORT, [sys.executable, "-c", "import dagster"]),
                Contestant(DEFINITIONS, [sys.executable, "-c", LOAD]),
            ]
        ),
        (
            Goal("definitions load, beside `import dagster`", DEFINITIONS, (IMPORT,), 1.3),
            Goal("CPU of loading the definitions", DEFINITIONS, (IMPORT,), 1.3, "cpu"),
        ),
    )
    count = size["integrations"]
    place = world.folder / "dagster"
    emptied(place)
    with devserver.running(place / "devserver") as server:
        environment = fleet.configure(place, server.url, count, files=size["files"])
        print(f"initial syncs of {count} integrations", flush=True)
        run_once(Contestant("initial syncs", cloudsync("initial-sync", "--direct"), environment), world.log)
        one = [sys.executable, "-m", "benchmarks.dagster_engine", "incremental_sync", fleet.name_of(0)]
        samples = world.in_turn(
            [
                Contestant(fleet.TICKS, [sys.executable, "-m", "benchmarks.ticks"], environment, tells=True),
                Contestant(EMPTY_RUN, one, environment, tells=True),
            ]
        )
    yield Task(f"one run, and {count} integrations every five minutes", samples, note=_sum(samples, count))


def _sum(samples: Mapping[str, list[Sample]], count: int) -> str:
    tick = median(samples[fleet.TICKS], "incremental tick, CPU")
    single = median(samples[EMPTY_RUN], "cpu")
    return (
        f"Parts of the run are CPU seconds of its one process. {count} integrations every {fleet.INTERVAL} s: "
        f"{tick / fleet.INTERVAL:.3f} cores where none has news (a tick looks at each feed and starts nothing), "
        f"{(tick + count * single) / fleet.INTERVAL:.2f} cores where each needs a run."
    )


BENCHMARK = Benchmark(
    "dagster",
    "loading the definitions, an empty incremental run and its parts, many integrations every five minutes",
    {
        "tiny": {"integrations": 2, "files": 2},
        "small": {"integrations": 20, "files": 20},
        "full": {"integrations": 100, "files": 200},
    },
    run,
)
