"""How many requests a caller may send: a bucket of tokens each, refilled as time goes by."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_CALLERS = 10_000
"""Buckets kept at most: whoever sends from many addresses must not fill the memory."""


class Rates:
    """See the module's docstring. For one thread.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, *, per_second: float, burst: int) -> float:
        """Take a token.

        Args:
            per_second: tokens that come back.
            burst: the most that a bucket holds.

        Returns:
            0 where there was one; else seconds until there will be.
        """
        now = self._clock()
        tokens, at = self._buckets.pop(caller, (float(burst), now))
        tokens = min(float(burst), tokens + (now - at) * per_second)
        enough = tokens >= 1
        self._buckets[caller] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return 0 if enough else (1 - tokens) / per_second
