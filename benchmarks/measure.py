"""Runs whole processes in turn and accounts for each by what the operating system says of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished process: seconds of wall and of CPU (user and system), peak memory in bytes.

    Attributes:
        told: figures that the process itself printed, such as seconds of one stage.
    """

    wall: float
    cpu: float
    peak: int
    told: Mapping[str, float] = field(default_factory=dict)

    def figure(self, name: str) -> float:
        """`wall`, `cpu`, `peak`, or what it told under that name; a process that told nothing answers with `wall`."""
        own = {"wall": self.wall, "cpu": self.cpu, "peak": float(self.peak)}
        return own[name] if name in own else self.told.get(name, self.wall)


def nothing() -> None:
    """The preparation of who needs none."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A command to measure.

    Attributes:
        prepare: gives it a clean start each time, and is not measured.
        tells: the last line of its standard output is JSON, names to numbers.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = nothing
    tells: bool = False


class Failed(RuntimeError):
    """A measured command did not do its work, so its time means nothing."""


def run(contestant: Contestant, log: Path, settle: Callable[[], None] = nothing) -> Sample:
    """Run it once.

    Args:
        log: what it writes to standard error is appended here.
        settle: brings the machine into the state in which all are to find it.

    Raises:
        Failed: it ended with an error.
    """
    contestant.prepare()
    # An installation has its bytecode; some environments forbid to keep any, and each process would compile everything.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **contestant.environment}
    said = log.with_suffix(".stdout")
    # What was written before must not be written out while this one is measured.
    os.sync()
    settle()
    began = time.perf_counter()
    with log.open("ab") as errors, said.open("wb") as out:
        process = subprocess.Popen(contestant.command, stdout=out, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise Failed(f"{contestant.name} ended with {process.returncode}; {log} ends with:\n{end}")
    told = json.loads(said.read_text().splitlines()[-1]) if contestant.tells else {}
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, told)


def in_turn(
    contestants: Sequence[Contestant], repeats: int, log: Path, settle: Callable[[], None] = nothing
) -> dict[str, list[Sample]]:
    """A B, A B, ...: the machine's moods meet all alike. Of several rounds, one more goes before and is not counted."""
    if repeats > 1:
        for contestant in contestants:
            run(contestant, log, settle)
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for _ in range(repeats):
        for contestant in contestants:
            samples[contestant.name].append(run(contestant, log, settle))
    return samples


def median(samples: Sequence[Sample], figure: str) -> float:
    """The middle one of a figure, over all runs of a contestant."""
    return statistics.median(sample.figure(figure) for sample in samples)


def told(samples: Iterable[Sample]) -> list[str]:
    """The names of what they told of themselves, in their order."""
    return list(dict.fromkeys(name for sample in samples for name in sample.told))
