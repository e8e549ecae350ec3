"""One integration's life, chapter by chapter, each drawn from a number: the same number tells the same chapter."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from cloudsync_pipeline.core import retry
from cloudsync_tests.reliability import troubles
from cloudsync_tests.reliability.changes import change
from cloudsync_tests.reliability.harsh_world import HarshWorld
from cloudsync_tests.reliability.quiet import settle_down
from cloudsync_tests.reliability.scenes import FILE_MANAGERS, Scene


class Life:
    """A world and what happens in it; what is told of it stands in `told`."""

    def __init__(self, seed: object, *, real_lake: bool = False) -> None:
        self.seed = seed
        scene = Scene.drawn(random.Random(f"{seed}"))
        self.told = [str(scene)]
        self.keys = scene.keys
        self.folder = Path(tempfile.mkdtemp(prefix="cloudsync-story-"))
        self.world = HarshWorld(
            self.folder,
            FILE_MANAGERS[scene.manager],
            scene.policy,
            scene.delivery,
            sequencers=scene.sequencers,
            real_lake=real_lake,
        )
        if scene.shuffled:
            self.world.feed.shuffle = random.Random(f"{seed}")
            self.world.feed.duplicates = 1

    def chapter(self, number: object) -> None:
        dice = random.Random(f"{self.seed} {number}")
        for _ in range(dice.choice([0, 1, 1, 2, 4])):
            self.told.append(change(self.world, self.keys, dice))
        troubles.sync(self.world, self.keys, dice, self.told)

    def end(self) -> None:
        self.told.append("quiet syncs")
        settle_down(self.world)

    def close(self, tally: Counter[str] | None = None) -> None:
        self.world.lake.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if tally is not None:
            tally.update({"stories": 1, "syncs": self.world.syncs, "kills": self.world.kills})


def live(
    seed: int, numbers: Sequence[int], tally: Counter[str], *, real_lake: bool = False
) -> tuple[list[str], Exception | None]:
    """One life of these chapters: what is told of it, and what went wrong in it (a promise broken, or a crash)."""
    life = Life(seed, real_lake=real_lake)
    try:
        for number in numbers:
            life.chapter(number)
        life.end()
    except Exception as broken:  # noqa: BLE001 - whatever it is, the story that leads to it is told
        return life.told, broken
    finally:
        life.close(tally)
    return life.told, None


def shortest(seed: int, numbers: Sequence[int], *, real_lake: bool = False) -> tuple[list[str], Exception]:
    """What goes wrong in a life, with as few chapters as it takes."""
    kept = list(numbers)
    told, broken = live(seed, kept, Counter(), real_lake=real_lake)
    assert broken is not None, "it went well this time"
    for number in numbers:
        fewer = [one for one in kept if one != number]
        found, still = live(seed, fewer, Counter(), real_lake=real_lake)
        if still is not None:
            kept, told, broken = fewer, found, still
    return told, broken


@contextmanager
def without_waiting() -> Iterator[None]:
    """Waiting before another try tells nothing here."""
    with patch.object(retry, "FIRST_DELAY", 0.0):
        yield
