"""What was measured, and what it was to reach: plain data between benchmarks, tables and charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.measure import Sample, median

if TYPE_CHECKING:
    from benchmarks.world import World


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that is to be reached.

    Attributes:
        says: in a few words.
        ours: the contestant it is about.
        peers: whom it is compared with; of several, the best one counts.
        at_most: ours divided by the peer's.
        figure: `wall`, `cpu`, `peak`, or one that ours tells of itself.
        beside: a fixed figure to compare with, where there is no peer.
    """

    says: str
    ours: str
    peers: tuple[str, ...]
    at_most: float
    figure: str = "wall"
    beside: float = float("inf")

    def ratio(self, samples: Mapping[str, list[Sample]]) -> float:
        """What was reached, from medians."""
        others = [median(samples[peer], self.figure) for peer in self.peers]
        return median(samples[self.ours], self.figure) / min([*others, self.beside])


@dataclass(frozen=True, slots=True)
class Task:
    """Several ways of doing one thing, measured in turn.

    Attributes:
        samples: by contestant.
        note: what has to be known to read the figures.
    """

    title: str
    samples: Mapping[str, list[Sample]]
    goals: tuple[Goal, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One entry of the registry in `__main__`.

    Attributes:
        name: as in `ONLY=name`.
        about: one line.
        sizes: parameters by the name of the size (tiny, small, full).
        run: measures; yields each task when it is done.
    """

    name: str
    about: str
    sizes: Mapping[str, Mapping[str, int]]
    run: Callable[[World, Mapping[str, int]], Iterable[Task]] = field(repr=False)
