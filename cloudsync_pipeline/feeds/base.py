"""The contract of an event feed: where changes of a customer's objects are announced.

A feed promises at-least-once at best; the engine commits a page to the lake before it acknowledges it.
Errors are those of `core.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from cloudsync_pipeline.core.events import FeedPage


@dataclass(frozen=True, slots=True)
class FeedCapabilities:
    """What a feed can do.

    Attributes:
        acknowledges: entries come again until `acknowledge`; without it the feed may forget or repeat at will.
        cursor: `receive` continues from a cursor.
        repeats: without cursor or acknowledgement, it gives again what it gave before; a full page in which
            nothing is known then means that entries were lost between two reads.
        max_page: most entries one `receive` gives.
    """

    acknowledges: bool = False
    cursor: bool = False
    repeats: bool = False
    max_page: int = 100


@dataclass(frozen=True, slots=True)
class Peek:
    """What a look at a feed told.

    Attributes:
        waiting: a sync would receive something new, or entries may have been lost unread.
        mark: what the next look compares with, where nothing is waiting.
    """

    waiting: bool
    mark: str


class EventFeed(Protocol):
    """See the module's docstring."""

    @property
    def capabilities(self) -> FeedCapabilities: ...

    @property
    def identity(self) -> Mapping[str, str]:
        """Which feed this is, without secrets."""
        ...

    async def receive(self, *, limit: int, cursor: str | None = None) -> FeedPage:
        """The next page of at most `limit` entries (capped at `max_page`), oldest first where the feed says so.

        Entries that cannot be understood come as `malformed`, never as an error. An empty page means: nothing
        more now.

        Raises:
            AccessDenied, Unreachable, Unavailable, BadAnswer: nothing was taken.
        """
        ...

    async def peek(self, mark: str) -> Peek:
        """Whether there is anything that a sync has not received yet; one cheap call that takes nothing.

        Args:
            mark: `FeedPage.mark` or the cursor of the newest page that was committed, or `Peek.mark` since then.

        Raises:
            AccessDenied, Unreachable, Unavailable, BadAnswer: it could not be asked.
        """
        ...

    async def acknowledge(self, page: FeedPage) -> None:
        """The page is committed: the feed need not give it again. Does nothing where not declared. Repeatable."""
        ...

    async def health(self) -> None:
        """One cheap call that proves address and credentials, and takes nothing."""
        ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
