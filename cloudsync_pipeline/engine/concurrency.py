"""Many small calls at once, but not too many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

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


async def carried_through(work: Coroutine[Any, Any, A]) -> A:
    """The result of `work`, which goes on to its end whatever cancellations come meanwhile; they count afterwards.

    Raises:
        CancelledError: it was cancelled meanwhile, and `work` came to its end.
        BaseException: what `work` raised, cancelled or not.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    result = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return result


class ByteBudget:
    """So many bytes at once, over all who ask, in the order in which they ask.

    One who wants more than there is at all gets everything there is. Giving back takes no turn of the event loop:
    a cancellation cannot come between what was done with the bytes and its end.
    """

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._free = self._total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def borrow(self, wanted: int) -> AsyncIterator[None]:
        """Wait until `wanted` bytes are free, and keep them for the block."""
        amount = min(max(0, wanted), self._total)
        await self._take(amount)
        try:
            yield
        finally:
            self._give(amount)

    async def _take(self, amount: int) -> None:
        if not self._waiting and amount <= self._free:
            self._free -= amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # It may have got them in the moment of its cancellation.
            self._give(amount if turn.done() and not turn.cancelled() else 0)
            raise

    def _give(self, amount: int) -> None:
        self._free += amount
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and wanted > self._free:
                return
            self._waiting.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)
