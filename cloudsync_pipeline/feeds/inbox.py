"""What was sent to us for an integration: the inbox in the control database, as a feed.

A notice stays in the inbox until its page is committed. One that nobody understands is kept in the lake with the
reason, and then removed like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar

from cloudsync_pipeline.core.errors import SchemaTooNew, StateError, Unavailable
from cloudsync_pipeline.core.events import FeedPage
from cloudsync_pipeline.feeds.base import FeedCapabilities, Peek
from cloudsync_pipeline.feeds.notifications import Reading, read
from cloudsync_pipeline.feeds.scope import Scope

MAX_PAGE = 500

T = TypeVar("T")


class Notice(Protocol):
    """One notice: its row, a name that no other one has, and JSON text."""

    @property
    def id(self) -> int: ...

    @property
    def delivery(self) -> str: ...

    @property
    def body(self) -> str: ...


class Notices(Protocol):
    """Where notices are kept; see `control.inbox.Inbox`."""

    def oldest(self, integration: str, limit: int) -> Sequence[Notice]: ...

    def remove(self, integration: str, ids: Sequence[int]) -> None: ...

    def close(self) -> None: ...


class InboxFeed:
    """See `feeds.base.EventFeed` and the module's docstring.

    A page holds whole notices: one with more entries than were asked for is a page of its own.

    Args:
        notices: opens the inbox, at the feed's first use; closed with the feed.
        integration: whose notices are taken.
        scope: what in them is the integration's; nobody else reads them.
    """

    capabilities = FeedCapabilities(acknowledges=True, max_page=MAX_PAGE)

    def __init__(self, notices: Callable[[], Notices], integration: str, scope: Scope) -> None:
        self._open = notices
        self._opened: Notices | None = None
        self._integration = integration
        self._scope = scope

    def __repr__(self) -> str:
        return f"InboxFeed({self._integration!r})"

    @property
    def identity(self) -> Mapping[str, str]:
        return {"type": "inbox", "integration": self._integration}

    async def receive(self, *, limit: int, cursor: str | None = None) -> FeedPage:  # noqa: ARG002 - the contract's
        """See `EventFeed.receive`."""
        count = max(1, min(limit, MAX_PAGE))
        waiting = await self._asked(lambda inbox: inbox.oldest(self._integration, count))
        page: list[tuple[int, Reading]] = []
        entries = 0
        for notice in waiting:
            reading = read(notice.body, self._scope, notice.delivery)
            if page and entries + reading.entries > count:
                break
            page.append((notice.id, reading))
            entries += reading.entries
        return FeedPage(
            events=tuple(event for _, reading in page for event in reading.events),
            malformed=tuple(one for _, reading in page for one in reading.malformed),
            receipt=tuple(number for number, _ in page),
            full=entries >= count or len(page) < len(waiting),
            received=entries,
            mark="",
            ignored=sum(reading.ignored + reading.elsewhere for _, reading in page),
        )

    async def peek(self, mark: str) -> Peek:
        """Looks for one notice."""
        return Peek(bool(await self._asked(lambda inbox: inbox.oldest(self._integration, 1))), mark)

    async def acknowledge(self, page: FeedPage) -> None:
        """Remove the page's notices."""
        done = page.receipt
        if isinstance(done, tuple) and done:
            await self._asked(lambda inbox: inbox.remove(self._integration, done))

    async def health(self) -> None:
        """Looks for one notice."""
        await self._asked(lambda inbox: inbox.oldest(self._integration, 1))

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    async def _asked(self, question: Callable[[Notices], T]) -> T:
        def in_thread() -> T:
            if self._opened is None:
                self._opened = self._open()
            return question(self._opened)

        try:
            return await asyncio.to_thread(in_thread)
        except SchemaTooNew:
            raise
        except StateError as error:
            raise Unavailable(f"the inbox: {error.message}", remedy=error.remedy) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
