"""How a process dies in a story: at a call or a commit, and from then on nothing that it does has any effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cloudsync_pipeline.core.faults import Corrupt, Faults, LoseAnswer, Truncate

CAN_BE_LOST = {"put", "move", "delete", "set_permissions", "acknowledge"}
"""Calls that can be done and then never answered."""


class Killed(BaseException):
    """The process is gone; nothing in it may catch this."""


@dataclass
class Kill:
    """When the process dies: at the n-th call of this kind, before it or after it was done.

    `where` is "call" (to storage, feed or file manager; any, or that of the name given) or "commit".
    """

    where: str
    count: int
    after: bool
    operation: str | None = None


class Mortality:
    """Whether the process lives, and when it dies."""

    def __init__(self) -> None:
        self.kill: Kill | None = None
        self.dead = False

    def live(self, kill: Kill | None = None) -> None:
        """A new process, which dies as said."""
        self.kill, self.dead = kill, False

    def die(self) -> None:
        self.dead = True

    def before_call(self, operation: str) -> bool:
        """Raises Killed where the process is dead, or dies now; True where it dies once this call was done."""
        if not self._is_now("call", operation):
            return False
        after = self.kill is not None and self.kill.after and operation in CAN_BE_LOST
        self.kill = None
        if after:
            return True
        self.die()
        raise Killed

    def at_commit(self, *, after: bool) -> None:
        """Raises Killed where the process is dead, or dies now."""
        if self.kill is not None and self.kill.after is not after and not self.dead:
            return
        if self._is_now("commit", None):
            self.die()
            raise Killed

    def _is_now(self, where: str, operation: str | None) -> bool:
        if self.dead:
            raise Killed
        kill = self.kill
        if kill is None or kill.where != where or kill.operation not in (None, operation):
            return False
        kill.count -= 1
        return kill.count <= 0


class LastAnswer(LoseAnswer):
    """The process dies in the moment in which the call is done."""

    def __init__(self, die: Callable[[], None]) -> None:  # the error comes into being when it is raised
        object.__setattr__(self, "die", die)

    @property
    def error(self) -> Exception:
        self.die()  # type: ignore[attr-defined]
        return Killed()  # type: ignore[return-value]


class DeadlyFaults(Faults):
    """Faults that ask first whether the process still lives."""

    def __init__(self, mortality: Mortality) -> None:
        super().__init__()
        self._mortality = mortality

    async def hit(self, operation: str, key: str | None = None) -> Truncate | Corrupt | LoseAnswer | None:
        if self._mortality.before_call(operation):
            return LastAnswer(self._mortality.die)
        await asyncio.sleep(0)
        return await super().hit(operation, key)
