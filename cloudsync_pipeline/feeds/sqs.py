"""An Amazon SQS queue that a bucket's event notifications arrive in, directly or by way of SNS or EventBridge.

A message is deleted when its page was committed, and not before. One that nobody understands is kept in the
lake with the reason, and then deleted like any other: it blocks nothing.

A queue is best an integration's own. What is in it about another bucket is a mistake in somebody's setup: it is
kept as malformed before it is deleted. Where others do read the same queue, `Scope.shared` says so, and a message
that holds anything of theirs stays in it. They all receive it, so such a queue must have no dead-letter queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.core.events import FeedPage
from cloudsync_pipeline.feeds.base import FeedCapabilities, Peek
from cloudsync_pipeline.feeds.notifications import Reading, read
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_pipeline.feeds.sqs_client import BATCH, PARALLEL, Message, SqsClient, SqsSettings

log = logging.getLogger(__name__)

_RELEASE_WITHIN = 5.0
"""Seconds that closing may take to give messages back; later they come back by themselves."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that was received and not deleted yet."""

    message: Message
    reading: Reading


class SqsFeed:
    """See `feeds.base.EventFeed` and the module's docstring; made anywhere, used within one event loop, closed once.

    What was received and not acknowledged comes again from `receive`; closing gives it back to the queue. A page
    holds whole messages: one with more entries than were asked for is a page of its own.

    Args:
        settings: the queue.
        scope: what in it is ours.
    """

    def __init__(self, settings: SqsSettings, scope: Scope) -> None:
        self._settings = settings
        self._scope = scope
        self._client = SqsClient(settings)
        self._held: dict[str, _Held] = {}
        self._for_others: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SqsFeed({self._settings.queue_url}, bucket={self._scope.bucket!r}, prefix={self._scope.prefix!r})"

    @property
    def capabilities(self) -> FeedCapabilities:
        return FeedCapabilities(acknowledges=True, max_page=self._settings.page_size)

    @property
    def identity(self) -> Mapping[str, str]:
        return {
            "type": "sqs",
            "queue": self._settings.queue_url,
            "bucket": self._scope.bucket or "",
            "prefix": self._scope.prefix,
        }

    async def receive(self, *, limit: int, cursor: str | None = None) -> FeedPage:  # noqa: ARG002 - the contract's
        """See `EventFeed.receive`. A queue of the standard kind has no order."""
        count = max(1, min(limit, self._settings.page_size))
        await self._fill(count)
        page: list[_Held] = []
        entries = 0
        for held in self._held.values():
            if page and entries + held.reading.entries > count:
                break
            page.append(held)
            entries += held.reading.entries
        more = len(self._held) > len(page)
        for held in page:
            if held.reading.elsewhere:
                del self._held[held.message.message_id]
                self._for_others[held.message.message_id] = held.message.receipt
        return FeedPage(
            events=tuple(event for held in page for event in held.reading.events),
            malformed=tuple(one for held in page for one in held.reading.malformed),
            receipt=tuple((h.message.message_id, h.message.receipt) for h in page if not h.reading.elsewhere),
            full=more or entries >= count,
            received=entries,
            mark="",
            ignored=sum(held.reading.ignored + held.reading.elsewhere for held in page),
        )

    async def _fill(self, count: int) -> None:
        """Receive until we hold that many entries, or the queue has nothing more to give."""
        calls = 1
        while (missing := count - sum(held.reading.entries for held in self._held.values())) > 0:
            sizes = [min(BATCH, missing - start) for start in range(0, missing, BATCH)][:calls]
            answers = await asyncio.gather(*map(self._client.receive, sizes), return_exceptions=True)
            # What the others brought is held before one's error is told, so that closing gives it back.
            messages = [message for answer in answers if not isinstance(answer, BaseException) for message in answer]
            news = self._hold(messages)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            if not news:
                return
            calls = PARALLEL if len(messages) == sum(sizes) else 1

    def _hold(self, messages: list[Message]) -> bool:
        """Keep what was received; whether any of it is new to us."""
        news = False
        for message in messages:
            if message.message_id in self._for_others:
                self._for_others[message.message_id] = message.receipt
                continue
            before = self._held.get(message.message_id)
            news = news or before is None
            # Delivered again, its newest receipt counts.
            reading = before.reading if before else read(message.body, self._scope, message.message_id)
            self._held[message.message_id] = _Held(message, reading)
        return news

    async def peek(self, mark: str) -> Peek:
        """Asks how many messages there are, those included that somebody received and did not delete yet.

        Amazon counts them within a minute or so: what it does not count yet waits for the next look.
        """
        return Peek(await self._client.count() > 0, mark)

    async def acknowledge(self, page: FeedPage) -> None:
        """Delete the page's messages. A receipt that is too old leaves its message: it comes again, and is known.

        Raises:
            Unavailable: some could not be deleted, also when they were tried again.
        """
        if not isinstance(page.receipt, tuple):
            return
        newest = {name: self._held[name].message.receipt if name in self._held else old for name, old in page.receipt}
        await self._client.delete(list(newest.values()))
        for name in newest:
            self._held.pop(name, None)

    async def health(self) -> None:
        """Asks for the queue's name."""
        await self._client.describe()

    async def close(self) -> None:
        """Give back what was not acknowledged and release connections; a second call does nothing."""
        receipts = [*(held.message.receipt for held in self._held.values()), *self._for_others.values()]
        self._held.clear()
        self._for_others.clear()
        try:
            if receipts:
                async with asyncio.timeout(_RELEASE_WITHIN):
                    await self._client.release(receipts)
        except (CloudSyncError, TimeoutError) as error:
            log.info(
                "Messages of %s come back after their visibility timeout only: %s", self._settings.queue_url, error
            )
        finally:
            await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
