"""A large object read by several requests at once, and given out in order.

One stream of TCP over a long way carries a fraction of what the line could. Parts of the object that come next are
fetched while the present one is given out; each is asked for with `If-Match`, so that all are of one version. What is
held in memory is bounded over all reads of a storage: where there is no room, a read goes on part by part.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.core.records import Piece, StorageObject

PART = 4 * 1024 * 1024
"""Bytes of a part."""
PARTS_AHEAD = 3
"""Parts of one object on their way at once."""
WORTH_IT = 4 * PART
"""Bytes from which an object is read so: a smaller one is there before a second connection stands."""

Fetch = Callable[[int, int], Awaitable[Sequence[Piece]]]
"""(start, length) to the bytes of that part, in pieces."""


class Room:
    """How many parts may be in memory at once, over all reads."""

    def __init__(self, parts: int) -> None:
        self.free = parts

    def take(self) -> bool:
        """One part's room, if there is any."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    def give(self) -> None:
        self.free += 1


class PartedBody:
    """See the module's docstring and `base.ObjectBody`.

    Args:
        found: the object; larger than a part.
        first: its bytes from the beginning on; no more than one part is taken from them.
        fetch: reads another part of the same version.
        first_is_read: called once no more is taken from `first`, so that its connection can serve other reads: where
            all of them waited for one another's, none would go on.
        part: bytes of one.
    """

    def __init__(
        self,
        found: StorageObject,
        first: AsyncIterator[Piece],
        fetch: Fetch,
        room: Room,
        first_is_read: Callable[[], None],
        *,
        part: int = PART,
    ) -> None:
        self.object = found
        self.content: bytes | None = None
        self._first = first
        self._fetch = fetch
        self._first_is_read = first_is_read
        self._room = room
        self._ahead: deque[asyncio.Future[Sequence[Piece]]] = deque()
        self._part = part
        self._asked_to = part

    async def chunks(self) -> AsyncIterator[Piece]:
        """See `ObjectBody.chunks`."""
        given = 0
        try:
            self._ask_ahead()
            async for piece in self._first:
                wanted = piece[: self._part - given]
                given += len(wanted)
                yield wanted
                if given == self._part:
                    break
            if given != self._part:
                raise self._short(given)
            self._first_is_read()
            while given < self.object.size:
                begun = given
                async for piece in self._next_part(given):
                    given += len(piece)
                    yield piece
                if given != min(begun + self._part, self.object.size):
                    raise self._short(given)
        finally:
            await self.close()

    async def _next_part(self, start: int) -> AsyncIterator[Piece]:
        if not self._ahead:
            # No room to read ahead: this part alone, which takes no more than a read in one stream would.
            self._asked_to = start + self._length(start)
            for piece in await self._fetch(start, self._length(start)):
                yield piece
            self._ask_ahead()
            return
        pieces = await self._ahead[0]
        self._ahead.popleft()
        try:
            for piece in pieces:
                yield piece
        finally:
            self._room.give()
        self._ask_ahead()

    def _ask_ahead(self) -> None:
        while len(self._ahead) < PARTS_AHEAD and self._asked_to < self.object.size and self._room.take():
            length = self._length(self._asked_to)
            self._ahead.append(asyncio.ensure_future(self._fetch(self._asked_to, length)))
            self._asked_to += length

    def _length(self, start: int) -> int:
        return min(self._part, self.object.size - start)

    async def close(self) -> None:
        """Give up what is on its way; a second call does nothing."""
        ahead, self._ahead = self._ahead, deque()
        for one in ahead:
            one.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
        for _ in ahead:
            self._room.give()

    def _short(self, given: int) -> BadAnswer:
        return BadAnswer(f"the body ended after {given} of {self.object.size} bytes", key=self.object.key)
