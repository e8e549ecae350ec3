"""Runs benchmarks, ours and peers in turn, and says how ours stands to its goals.

Each starts the servers that it needs and makes its data. Figures are whole processes: wall time, CPU time of user and
system, peak memory. `--size tiny` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    chart,
    dagster_runs,
    events,
    fleet,
    large_files,
    listing,
    receiving,
    report,
    small_files,
    state,
    unchanged,
)
from benchmarks.task import Benchmark, Task
from benchmarks.world import World

REGISTRY: tuple[Benchmark, ...] = (
    listing.BENCHMARK,
    small_files.BENCHMARK,
    large_files.BENCHMARK,
    receiving.BENCHMARK,
    unchanged.BENCHMARK,
    state.BENCHMARK,
    events.BENCHMARK,
    dagster_runs.BENCHMARK,
    fleet.BENCHMARK,
)
"""In the order in which they run. A new one is a file of its own with a `BENCHMARK`, and a line here."""

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write, draw."""
    options = _options(arguments)
    output = options.output or RESULTS / f"{options.size}.json"
    with tempfile.TemporaryDirectory(prefix="cloudsync-bench-", dir=options.work) as place:
        folder = Path(place)
        with World(folder, options.data or folder / "data", options.repeat, options.size == "tiny") as world:
            for benchmark in _chosen(options.only):
                print(f"\n== {benchmark.name}: {benchmark.about}", flush=True)
                report.write(output, options.size, {benchmark.name: _measured(benchmark, world, options.size)})
    chart.draw(output, output.with_suffix(".svg"))
    print(f"\nwritten to {output} and {output.with_suffix('.svg')}")
    if options.chart:
        shutil.copyfile(output.with_suffix(".svg"), options.chart)


def _measured(benchmark: Benchmark, world: World, size: str) -> list[Task]:
    tasks = []
    for task in benchmark.run(world, benchmark.sizes[size]):
        report.show(task)
        tasks.append(task)
    return tasks


def _chosen(names: Sequence[str]) -> list[Benchmark]:
    return [benchmark for benchmark in REGISTRY if not names or benchmark.name in names]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    listed = "\n".join(f"  {one.name:14}{one.about}" for one in REGISTRY)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [one.name for one in REGISTRY]
    parser.add_argument("--only", nargs="*", default=[], choices=names, metavar="NAME", help="not all of them")
    parser.add_argument("--size", choices=("tiny", "small", "full"), default="small")
    parser.add_argument("--repeat", type=int, default=3, help="how often each contestant runs (3)")
    parser.add_argument("--data", type=Path, help="keep the storage's data in this folder, and do not fill it again")
    parser.add_argument(
        "--work", type=Path, help="folder for destinations and state (the system's for temporary files)"
    )
    parser.add_argument(
        "--output", type=Path, help="JSON file (benchmarks/results/SIZE.json); other benchmarks' figures stay"
    )
    parser.add_argument("--chart", type=Path, help="where to copy the chart to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
