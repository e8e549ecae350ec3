"""The memory feed beyond the contract: duplicates, disorder, loss, faults."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, Unavailable
from cloudsync_pipeline.core.events import Event, EventType, FeedPage, identity_of
from cloudsync_pipeline.core.faults import LoseAnswer
from cloudsync_pipeline.feeds.memory import Delivery, MemoryFeed


def an_event(key: str) -> Event:
    return Event(identity_of({"key": key}), EventType.CREATE, key, raw="{}")


def run(action: Callable[[], Awaitable[FeedPage]]) -> list[str]:
    async def scenario() -> FeedPage:
        return await action()

    return [event.key for event in asyncio.run(scenario()).events]


def test_duplicates_come_within_a_page() -> None:
    feed = MemoryFeed(duplicates=2)
    feed.publish(an_event("a"), an_event("b"))
    assert sorted(run(lambda: feed.receive(limit=10))) == ["a"] * 3 + ["b"] * 3


def test_a_shuffled_page_holds_the_same_events() -> None:
    feed = MemoryFeed(shuffle=random.Random(1))
    keys = [f"{number:02}" for number in range(20)]
    feed.publish(*map(an_event, keys))
    given = run(lambda: feed.receive(limit=100))
    assert given != keys
    assert sorted(given) == keys


def test_lost_events_do_not_come() -> None:
    feed = MemoryFeed()
    feed.publish(an_event("a"), an_event("b"), an_event("c"))
    feed.lose(2)
    assert run(lambda: feed.receive(limit=10)) == ["c"]
    feed.lose()
    assert (run(lambda: feed.receive(limit=10)), feed.waiting) == ([], 0)


def test_what_was_acknowledged_can_be_asked() -> None:
    feed = MemoryFeed()
    feed.publish(an_event("a"), an_event("b"))

    async def scenario() -> None:
        await feed.acknowledge(await feed.receive(limit=1))

    asyncio.run(scenario())
    assert feed.acknowledged == [an_event("a").identity]
    assert feed.waiting == 1


def test_an_acknowledgement_can_fail() -> None:
    feed = MemoryFeed()
    feed.publish(an_event("a"))
    feed.faults.add("acknowledge", Unavailable("injected"))

    async def scenario() -> None:
        page = await feed.receive(limit=1)
        with pytest.raises(Unavailable):
            await feed.acknowledge(page)
        assert feed.waiting == 1
        await feed.acknowledge(page)
        assert feed.waiting == 0

    asyncio.run(scenario())


def test_the_answer_to_an_acknowledgement_can_be_lost() -> None:
    feed = MemoryFeed()
    feed.publish(an_event("a"))
    feed.faults.add("acknowledge", LoseAnswer(Unavailable("injected")))

    async def scenario() -> None:
        page = await feed.receive(limit=1)
        with pytest.raises(Unavailable):
            await feed.acknowledge(page)
        assert feed.waiting == 0

    asyncio.run(scenario())


def test_a_cursor_of_another_feed_is_refused() -> None:
    feed = MemoryFeed(Delivery.CURSOR)
    with pytest.raises(BadAnswer):
        run(lambda: feed.receive(limit=1, cursor="not ours"))
