"""A feed in memory, with faults on demand: for tests, and for trying out a policy.

It passes the same conformance suite as the real ones.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.core.events import Event, FeedPage, MalformedEvent
from cloudsync_pipeline.core.faults import Faults, LoseAnswer
from cloudsync_pipeline.feeds.base import FeedCapabilities, Peek

Entry = Event | MalformedEvent


class Delivery(StrEnum):
    """What a feed does with entries it has given: wait for acknowledgement, go by a cursor, or repeat the newest."""

    ACKNOWLEDGE = "acknowledge"
    CURSOR = "cursor"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class _Stored:
    position: int
    entry: Entry


class MemoryFeed:
    """An `EventFeed` whose entries are put in by `publish`. It can be used again after `close`.

    Args:
        delivery: see `Delivery`.
        name: what its identity says.
        max_page: most entries one `receive` gives.
        duplicates: how many more times each page's entries come in that page.
        shuffle: reorders each page; None keeps the order of publishing.

    Attributes:
        faults: asked before each "receive", "peek", "acknowledge" and "health"; `LoseAnswer` is for "acknowledge".
        acknowledged: identities that were acknowledged, in order.
    """

    def __init__(
        self,
        delivery: Delivery = Delivery.ACKNOWLEDGE,
        *,
        name: str = "default",
        max_page: int = 100,
        duplicates: int = 0,
        shuffle: random.Random | None = None,
    ) -> None:
        self.faults = Faults()
        self.acknowledged: list[str] = []
        self.duplicates = duplicates
        self.shuffle = shuffle
        self._delivery = delivery
        self._name = name
        self._max_page = max_page
        self._entries: list[_Stored] = []
        self._published = 0

    @property
    def capabilities(self) -> FeedCapabilities:
        return FeedCapabilities(
            acknowledges=self._delivery is Delivery.ACKNOWLEDGE,
            cursor=self._delivery is Delivery.CURSOR,
            repeats=self._delivery is Delivery.REPEAT,
            max_page=self._max_page,
        )

    @property
    def identity(self) -> Mapping[str, str]:
        return {"type": "memory", "name": self._name}

    @property
    def waiting(self) -> int:
        """Entries that it still holds."""
        return len(self._entries)

    def publish(self, *entries: Entry) -> None:
        """Announce changes, oldest first."""
        for entry in entries:
            self._published += 1
            self._entries.append(_Stored(self._published, entry))

    def lose(self, count: int | None = None) -> None:
        """Forget the oldest `count` entries, or all of them, as a feed does whose retention is over."""
        del self._entries[: len(self._entries) if count is None else count]

    async def receive(self, *, limit: int, cursor: str | None = None) -> FeedPage:
        """See `EventFeed.receive`. Duplicates come on top of `limit`.

        Raises:
            BadAnswer: the cursor is none of ours.
        """
        await self.faults.hit("receive")
        count = max(1, min(limit, self._max_page))
        taken = self._take(count, cursor)
        given = taken * (1 + self.duplicates)
        if self.shuffle is not None:
            self.shuffle.shuffle(given)
        last = taken[-1].position if taken else self._position(cursor)
        return FeedPage(
            events=tuple(stored.entry for stored in given if isinstance(stored.entry, Event)),
            malformed=tuple(stored.entry for stored in given if isinstance(stored.entry, MalformedEvent)),
            cursor=str(last) if self._delivery is Delivery.CURSOR else None,
            receipt=tuple(s.position for s in taken) if self._delivery is Delivery.ACKNOWLEDGE else None,
            full=len(taken) >= count,
            received=len(given),
            mark=str(last),
        )

    async def peek(self, mark: str) -> Peek:
        """Takes nothing; where it acknowledges, whatever it still holds is news.

        Raises:
            BadAnswer: the mark is none of ours.
        """
        await self.faults.hit("peek")
        if self._delivery is Delivery.ACKNOWLEDGE:
            return Peek(bool(self._entries), mark)
        newest = self._entries[-1].position if self._entries else 0
        return Peek(newest > _number(mark), str(max(newest, _number(mark))))

    def _take(self, count: int, cursor: str | None) -> list[_Stored]:
        if self._delivery is Delivery.REPEAT:
            return self._entries[-count:]
        if self._delivery is Delivery.ACKNOWLEDGE:
            return self._entries[:count]
        after = self._position(cursor)
        return [stored for stored in self._entries if stored.position > after][:count]

    def _position(self, cursor: str | None) -> int:
        if self._delivery is not Delivery.CURSOR or cursor is None:
            return 0
        return _number(cursor)

    async def acknowledge(self, page: FeedPage) -> None:
        """The page's entries do not come again. Does nothing where not declared. Repeatable."""
        fault = await self.faults.hit("acknowledge")
        if isinstance(page.receipt, tuple):
            done = frozenset(page.receipt)
            self.acknowledged += [stored.entry.identity for stored in self._entries if stored.position in done]
            self._entries = [stored for stored in self._entries if stored.position not in done]
        if isinstance(fault, LoseAnswer):
            raise copy.copy(fault.error)

    async def health(self) -> None:
        """Takes nothing; fails only by an injected fault."""
        await self.faults.hit("health")

    async def close(self) -> None:
        """Does nothing: several integrations may share one."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _number(cursor: str) -> int:
    if not cursor.isdecimal():
        raise BadAnswer(f"{cursor!r} is no cursor of this feed", remedy="Begin without a cursor.")
    return int(cursor)
