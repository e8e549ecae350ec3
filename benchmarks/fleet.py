"""Many integrations on one machine: what a tick takes, and what each integration costs in a day."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.measure import Contestant, Sample, median
from benchmarks.measure import run as run_once
from benchmarks.task import Benchmark, Task
from benchmarks.world import World, cloudsync, emptied
from cloudsync_pipeline import devserver

TICKS = "ticks, all due, none with news"
SYNC, SCAN, RUN, SCAN_RUN = "incremental sync, direct", "full scan, direct", "incremental run", "full scan run"
A_DAY = 24 * 60 * 60
INTERVAL = 300
"""Seconds between two syncs of an integration, the default."""
BUSY_INTERVALS = 12
"""Intervals of a day in which something changes, for the sum: a customer that works on its files for an hour."""


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Initial syncs that are not measured, then ticks and single runs."""
    count, files = size["integrations"], size["files"]
    place = world.folder / "fleet"
    emptied(place)
    with devserver.running(place / "devserver") as server:
        environment = configure(place, server.url, count, files)
        names = [name_of(number) for number in range(count)]
        print(f"initial syncs of {count} integrations with {files} files each", flush=True)
        run_once(Contestant("initial syncs", cloudsync("initial-sync", "--direct"), environment), world.log)
        first = names[0]
        contestants = [
            # The first of them makes the integrations known to Dagster.
            Contestant(TICKS, [sys.executable, "-m", "benchmarks.ticks"], environment, tells=True),
            Contestant(SYNC, cloudsync("incremental-sync", "--direct", "--integration", first), environment),
        ]
        if size["runs"]:
            contestants += [
                Contestant(SCAN, cloudsync("reconcile", "--direct", "--integration", first), environment),
                Contestant(RUN, _dagster("incremental_sync", first), environment),
                Contestant(SCAN_RUN, _dagster("reconcile", first), environment),
            ]
        samples = world.in_turn(contestants)
    note = _sum(samples, count) if size["runs"] else ""
    yield Task(f"{count} integrations of {files} files", samples, note=note)


def _sum(samples: Mapping[str, list[Sample]], count: int) -> str:
    """What an integration costs in a day, in words."""
    looks = median(samples[TICKS], "incremental tick, CPU") / count * (A_DAY / INTERVAL)
    idle = looks + median(samples[SCAN_RUN], "cpu")
    busy = idle + BUSY_INTERVALS * median(samples[RUN], "cpu")
    every = A_DAY / INTERVAL * median(samples[RUN], "cpu")
    return (
        f"CPU seconds of one integration in a day: {idle:.0f} where nothing happens ({looks:.1f} of them looks at its "
        f"feed, the rest one full scan), {busy:.0f} where {BUSY_INTERVALS} intervals have changes; {every:.0f} if "
        f"every interval had a run. {count} of them at rest take {idle * count / A_DAY:.2f} cores."
    )


def name_of(number: int) -> str:
    """The name of an integration."""
    return f"customer-{number:04}"


def configure(place: Path, url: str, count: int, files: int) -> dict[str, str]:
    """So many integrations with so many files each, from folders into folders; the environment that names them.

    Args:
        url: of the file manager whose list of events all of them read.
    """
    config, home = place / "config", place / "home"
    (config / "integrations").mkdir(parents=True)
    home.mkdir()
    (config / "cloudsync.yaml").write_text(
        json.dumps(
            {
                "database": {"path": str(place / "state")},
                "defaults": {"sync": {"interval": INTERVAL, "reconcile_interval": A_DAY}},
            }
        )
    )
    for number in range(count):
        name = name_of(number)
        source = place / "storage" / name
        source.mkdir(parents=True)
        for file in range(files):
            (source / f"file {file:04}").write_text(f"{name} {file}")
        (config / "integrations" / f"{name}.yaml").write_text(
            json.dumps(
                {
                    "storage": {"type": "local", "path": str(source)},
                    "file_manager": {"type": "local", "path": str(place / "files")},
                    # One list for all of them, as a file manager has it; each sees its own entries.
                    "feed": {"type": "http", "url": url, "event_paths": "prefixed"},
                }
            )
        )
    (place / "files").mkdir()
    return {"CLOUDSYNC_CONFIG": str(config / "cloudsync.yaml"), "DAGSTER_HOME": str(home)}


def _dagster(job: str, integration: str) -> list[str]:
    """A run as Dagster's own launcher does it: a process that loads the definitions and executes the job."""
    tags = json.dumps({"dagster/partition": integration})
    return [
        *(sys.executable, "-m", "dagster", "job", "execute", "-m", "cloudsync_pipeline.definitions"),
        *("-j", job, "--tags", tags),
    ]


BENCHMARK = Benchmark(
    "fleet",
    "many integrations: what ticks take, and what each integration costs in a day",
    {
        "tiny": {"integrations": 3, "files": 3, "runs": 0},
        "small": {"integrations": 50, "files": 50, "runs": 1},
        "full": {"integrations": 500, "files": 200, "runs": 1},
    },
    run,
)
