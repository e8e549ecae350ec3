"""Runs whole processes in turn and accounts for each by what the operating system says of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished process: seconds of wall and of CPU (user and system), peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """A command; `prepare` gives it a clean start each time and is not measured."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    prepare: Callable[[], None]


class Failed(RuntimeError):
    """A measured command did not do its work, so its time means nothing."""


def run(contestant: Contestant, log: Path) -> Sample:
    """Run it once, and fail where it fails."""
    contestant.prepare()
    began = time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(
            contestant.command, stdout=out, stderr=out, env={**os.environ, **contestant.environment}
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode != 0:
        raise Failed(f"{contestant.name} ended with {process.returncode}; see {log}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def in_turn(contestants: Sequence[Contestant], repeats: int, log: Path) -> dict[str, list[Sample]]:
    """A B, A B, ...: the machine's moods meet both alike."""
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for _ in range(repeats):
        for contestant in contestants:
            samples[contestant.name].append(run(contestant, log))
    return samples


def median(samples: Sequence[Sample]) -> Sample:
    """Each figure's own median."""
    return Sample(
        statistics.median(s.wall for s in samples),
        statistics.median(s.cpu for s in samples),
        int(statistics.median(s.peak for s in samples)),
    )
