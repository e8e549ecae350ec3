"""Many small calls at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def map_bounded(items: Iterable[A], call: Callable[[A], Awaitable[B]], *, limit: int) -> list[B]:
    """The results of `call` for each item, in the items' order, at most `limit` at once.

    The first error cancels the rest and is raised as it is.
    """
    slots = asyncio.Semaphore(limit)

    async def one(item: A) -> B:
        async with slots:
            return await call(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


class ByteBudget:
    """So many bytes at once, over all who ask; one who wants more than there is at all gets everything there is."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._free = self._total
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def borrow(self, wanted: int) -> AsyncIterator[None]:
        """Wait until `wanted` bytes are free, and keep them for the block."""
        amount = min(max(0, wanted), self._total)
        async with self._freed:
            await self._freed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            async with self._freed:
                self._free += amount
                self._freed.notify_all()
