"""How long the reliability tests look for trouble: a fixed amount, always the same, or for minutes and always anew.

Without SOAK_MINUTES (`make test`) a test marked `soak` takes the rounds that it names. With it (`make soak`) the
minutes are shared out among all tests so marked, and each goes on until its share is used up.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

_share: float | None = None


def soak_seconds() -> float | None:
    """What `make soak` asks for, in seconds of wall clock; None in an ordinary run."""
    minutes = os.environ.get("SOAK_MINUTES")
    return float(minutes) * 60 if minutes else None


def share_out(tests: int) -> None:
    """Divide the soak's time among so many tests, which run on as many workers as there are."""
    global _share  # noqa: PLW0603 - one soak a process, known once its tests are collected
    whole = soak_seconds()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    _share = None if whole is None else whole * min(workers, tests) / max(tests, 1)


def seconds() -> float | None:
    """The share of one test; None in an ordinary run."""
    return _share


def seeds(fixed: int, *, enough: Callable[[], bool] = lambda: True) -> Iterator[int]:
    """One number a round, from which everything in it is drawn: `fixed` of them, or new ones while there is time.

    Args:
        enough: a soak goes on beyond its time until this is so.
    """
    if _share is None:
        yield from range(fixed)
        return
    ends = time.monotonic() + _share
    while time.monotonic() < ends or not enough():
        yield random.SystemRandom().randrange(10**9, 10**12)
