"""Faults to be injected into the in-memory adapters, as data: which operation, which key, how often, what happens.

The fakes ask `Faults.hit` before they do anything, so that a test (or somebody who tries out a policy) decides
what fails and when, without patching code.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Truncate:
    """The body ends after `after` bytes, while its announced length stays."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The byte at `at` arrives with its lowest bit flipped."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The operation is done, and then `error` is raised: its outcome is unknown to the caller."""

    error: Exception


Action = Callable[[], Awaitable[object] | object]
Effect = Exception | Truncate | Corrupt | LoseAnswer | Action
"""What a fault does: raise a copy of an error, run a callable (awaited where it gives an awaitable: a stall, a change
of the object that is being read), or say what the adapter has to do to the bytes or to its answer."""

ALWAYS: Final = None


@dataclass(slots=True)
class _Fault:
    operation: str
    effect: Effect
    key: str | None
    times: int | None
    after: int

    def concerns(self, operation: str, key: str | None) -> bool:
        return self.operation == operation and self.key in (None, key) and self.times != 0


class Faults:
    """A queue of faults, asked in the order in which they were added.

    Attributes:
        calls: how often each operation was asked for, with or without a fault.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._faults: list[_Fault] = []

    def add(
        self, operation: str, effect: Effect, *, key: str | None = None, times: int | None = 1, after: int = 0
    ) -> None:
        """Let `effect` happen at the next calls of `operation`.

        Args:
            operation: the adapter's name of it ("head", "read", "list", "put", ...).
            effect: see `Effect`.
            key: only for this escaped key or path; None for any.
            times: how many calls it hits; `ALWAYS` (None) for every one.
            after: how many calls that it concerns pass first.
        """
        self._faults.append(_Fault(operation, effect, key, times, after))

    @property
    def pending(self) -> int:
        """Faults with a limited number of hits that have hits left; 0 means that all were used."""
        return sum(1 for fault in self._faults if fault.times)

    def clear(self) -> None:
        """Forget every fault; `calls` stay."""
        self._faults.clear()

    async def hit(self, operation: str, key: str | None = None) -> Truncate | Corrupt | LoseAnswer | None:
        """Let the first fault that concerns this call happen.

        Returns:
            What the adapter has to apply itself, or None.

        Raises:
            Exception: a copy of the error that was added.
        """
        self.calls[operation] += 1
        effect = self._next(operation, key)
        if effect is None or isinstance(effect, Truncate | Corrupt | LoseAnswer):
            return effect
        if isinstance(effect, Exception):
            # A copy: an instance that is raised twice carries the first traceback along.
            raise copy.copy(effect)
        done = effect()
        if inspect.isawaitable(done):
            await done
        return None

    def _next(self, operation: str, key: str | None) -> Effect | None:
        for fault in self._faults:
            if not fault.concerns(operation, key):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault.effect
        return None
