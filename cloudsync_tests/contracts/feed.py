"""What every `EventFeed` keeps to. An implementation's own test is a harness and this class as its base."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import pytest

from cloudsync_pipeline.core.errors import RemoteError
from cloudsync_pipeline.core.events import Event, EventType, FeedPage
from cloudsync_pipeline.core.keys import escape
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.feeds.base import EventFeed, Peek
from cloudsync_tests.hostile_keys import HOSTILE_KEYS

T = TypeVar("T")


class FeedHarness(Protocol):
    """One empty feed, and a hand on its other side.

    Attributes:
        failures: errors that `failing` can bring about.
        secrets: what must never be shown.
    """

    failures: Sequence[type[RemoteError]]
    secrets: Sequence[str]

    def open(self) -> EventFeed:
        """The feed, for one event loop."""
        ...

    def failing(self, error: type[RemoteError]) -> EventFeed:
        """The same feed in a state, or with settings, that lead to this error."""
        ...

    def announce(
        self, kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
    ) -> None:
        """Let the feed's source tell of a change of an escaped key; telling of it again is another event."""
        ...

    def announce_nonsense(self) -> None:
        """Let the source say something that nobody understands."""
        ...


class FeedContract:
    """Tests of the contract; a subclass gives the fixture `harness`."""

    @pytest.fixture
    def harness(self) -> FeedHarness:
        raise AssertionError("a subclass gives its harness")

    def test_an_announced_change_is_received(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "dir/file")
        page = receive(harness)
        (event,) = page.events
        assert (event.event_type, event.key, event.new_key) == (EventType.CREATE, "dir/file", None)
        assert event.identity
        assert event.raw
        assert (page.malformed, page.received, page.full) == ((), 1, False)

    def test_where_nothing_happened_the_page_is_empty(self, harness: FeedHarness) -> None:
        page = receive(harness)
        assert (page.events, page.malformed, page.received, page.full) == ((), (), 0, False)

    @pytest.mark.parametrize("kind", [EventType.RENAME, EventType.MOVE])
    def test_a_move_names_both_keys(self, harness: FeedHarness, kind: EventType) -> None:
        harness.announce(kind, "old", "new")
        (event,) = receive(harness).events
        assert (event.event_type, event.key, event.new_key) == (kind, "old", "new")
        assert {"old", "new"} <= set(event.keys)

    def test_a_delete_is_received(self, harness: FeedHarness) -> None:
        harness.announce(EventType.DELETE, "gone")
        (event,) = receive(harness).events
        assert (event.event_type, event.key) == (EventType.DELETE, "gone")

    def test_a_change_of_permissions_says_what_is_desired(self, harness: FeedHarness) -> None:
        desired = Permissions(permissions="rwxr-x---", owner="ann", group="staff")
        harness.announce(EventType.CHANGE_PERMISSION, "file", permissions=desired)
        (event,) = receive(harness).events
        assert (event.event_type, event.permissions) == (EventType.CHANGE_PERMISSION, desired)

    def test_every_hostile_key_is_among_the_keys_it_may_mean(self, harness: FeedHarness) -> None:
        keys = [hostile.key for hostile in HOSTILE_KEYS] + [escape("nul\0"), escape("byte\udcff")]
        for key in keys:
            harness.announce(EventType.CREATE, key)
        events = drained(harness)
        assert len(events) == len(keys)
        assert set(keys) <= {key for event in events for key in event.keys}

    def test_each_delivery_of_an_event_has_the_same_identity_and_each_event_its_own(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "a")
        harness.announce(EventType.DELETE, "a")
        harness.announce(EventType.CREATE, "b")
        first, again = receive(harness), receive(harness)
        assert len({event.identity for event in first.events}) == 3
        assert {e.identity: e.key for e in first.events} == {e.identity: e.key for e in again.events}

    def test_nonsense_is_kept_with_a_reason_and_blocks_nothing(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "before")
        harness.announce_nonsense()
        harness.announce(EventType.CREATE, "after")
        page = receive(harness)
        assert {event.key for event in page.events} == {"before", "after"}
        (malformed,) = page.malformed
        assert malformed.identity
        assert malformed.reason
        assert malformed.raw
        assert page.received == 3

    def test_a_page_holds_no_more_than_was_asked_for_and_says_when_it_is_full(self, harness: FeedHarness) -> None:
        for number in range(5):
            harness.announce(EventType.CREATE, f"file{number}")
        some, exactly, all_of_them = (receive(harness, limit) for limit in (3, 5, 6))
        assert (len(some.events), some.full) == (3, True)
        assert (len(exactly.events), exactly.full) == (5, True)
        assert (len(all_of_them.events), all_of_them.full) == (5, False)

    def test_a_limit_above_the_largest_page_is_lowered_to_it(self, harness: FeedHarness) -> None:
        largest = harness.open().capabilities.max_page
        for number in range(largest + 1):
            harness.announce(EventType.CREATE, f"file{number}")
        page = receive(harness, largest * 10)
        assert (len(page.events), page.full) == (largest, True)

    def test_health_takes_nothing(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "a")
        use(harness, lambda feed: feed.health())
        assert len(receive(harness).events) == 1

    def test_a_look_tells_of_news_and_takes_nothing(self, harness: FeedHarness) -> None:
        before = mark_of(receive(harness))
        assert not peek(harness, before).waiting
        harness.announce(EventType.CREATE, "a")
        assert peek(harness, before).waiting
        assert peek(harness, before).waiting
        assert [event.key for event in receive(harness).events] == ["a"]

    def test_what_was_committed_is_no_news_and_what_came_since_is(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "a")

        async def committed(feed: EventFeed) -> str:
            page = await feed.receive(limit=100)
            await feed.acknowledge(page)
            return mark_of(page)

        mark = use(harness, committed)
        seen = peek(harness, mark)
        assert not seen.waiting
        assert not peek(harness, seen.mark).waiting
        harness.announce_nonsense()
        assert peek(harness, mark).waiting
        assert peek(harness, seen.mark).waiting

    def test_the_identity_is_told_and_holds_no_secret(self, harness: FeedHarness) -> None:
        feed = harness.open()
        assert feed.identity["type"]
        shown = repr(feed) + repr(feed.identity)
        assert not [secret for secret in harness.secrets if secret in shown]

    def test_closing_twice_does_no_harm(self, harness: FeedHarness) -> None:
        async def scenario() -> None:
            feed = harness.open()
            await feed.receive(limit=1)
            await feed.close()
            await feed.close()

        asyncio.run(scenario())

    # --- acknowledgement, cursor, repetition: whatever is declared is kept, whatever is not does nothing ------

    def test_what_was_acknowledged_does_not_come_again_where_declared(self, harness: FeedHarness) -> None:
        for number in range(3):
            harness.announce(EventType.CREATE, f"file{number}")

        async def scenario() -> None:
            async with harness.open() as feed:
                page = await feed.receive(limit=2)
                again = await feed.receive(limit=10)
                await feed.acknowledge(page)
                await feed.acknowledge(page)
                rest = await feed.receive(limit=10)
            if feed.capabilities.acknowledges:
                assert set(identities(page)) <= set(identities(again))
                assert set(identities(rest)) == set(identities(again)) - set(identities(page))
            else:
                assert page.receipt is None
                assert identities(rest) == identities(again)

        asyncio.run(scenario())

    def test_a_cursor_goes_on_behind_its_page_where_declared(self, harness: FeedHarness) -> None:
        for number in range(5):
            harness.announce(EventType.CREATE, f"file{number}")

        async def scenario() -> None:
            async with harness.open() as feed:
                page = await feed.receive(limit=2)
                if not feed.capabilities.cursor:
                    assert page.cursor is None
                    return
                seen = list(identities(page))
                while page.events:
                    page = await feed.receive(limit=2, cursor=page.cursor)
                    seen += identities(page)
                assert len(seen) == len(set(seen)) == 5
                harness.announce(EventType.CREATE, "later")
                assert [e.key for e in (await feed.receive(limit=2, cursor=page.cursor)).events] == ["later"]

        asyncio.run(scenario())

    def test_the_newest_come_again_and_again_where_declared(self, harness: FeedHarness) -> None:
        for number in range(5):
            harness.announce(EventType.CREATE, f"file{number}")
        first, again = receive(harness, 2), receive(harness, 2)
        if harness.open().capabilities.repeats:
            assert [event.key for event in first.events] == ["file3", "file4"]
            assert identities(again) == identities(first)
        else:
            assert [event.key for event in first.events] == ["file0", "file1"]

    # --- failures -------------------------------------------------------------------------------------------

    def test_every_failure_comes_as_ours_and_takes_nothing(self, harness: FeedHarness) -> None:
        harness.announce(EventType.CREATE, "a")
        assert harness.failures
        for error in harness.failures:
            assert type(raised(_receive(harness.failing(error)))) is error
            assert type(raised(_health(harness.failing(error)))) is error
            assert type(raised(_peek(harness.failing(error)))) is error
        assert [event.key for event in receive(harness).events] == ["a"]

    def test_no_failure_shows_a_secret(self, harness: FeedHarness) -> None:
        for error in harness.failures:
            shown = str(raised(_receive(harness.failing(error))))
            assert not [secret for secret in harness.secrets if secret in shown]


def use(harness: FeedHarness, action: Callable[[EventFeed], Awaitable[T]]) -> T:
    """Open the feed, do one thing with it, close it."""

    async def scenario() -> T:
        async with harness.open() as feed:
            return await action(feed)

    return asyncio.run(scenario())


def receive(harness: FeedHarness, limit: int = 100) -> FeedPage:
    return use(harness, lambda feed: feed.receive(limit=limit))


def peek(harness: FeedHarness, mark: str) -> Peek:
    return use(harness, lambda feed: feed.peek(mark))


def mark_of(page: FeedPage) -> str:
    """What is handed to the next look."""
    mark = page.mark if page.mark is not None else page.cursor
    assert mark is not None
    return mark


def drained(harness: FeedHarness) -> list[Event]:
    """Every event of the feed, page by page as it declares."""

    async def all_of(feed: EventFeed) -> list[Event]:
        page = await feed.receive(limit=100)
        events = list(page.events)
        while page.full and not feed.capabilities.repeats:
            await feed.acknowledge(page)
            page = await feed.receive(limit=100, cursor=page.cursor)
            events += page.events
        return events

    return use(harness, all_of)


def identities(page: FeedPage) -> list[str]:
    return [event.identity for event in page.events]


async def _receive(feed: EventFeed) -> None:
    async with feed:
        await feed.receive(limit=10)


async def _peek(feed: EventFeed) -> None:
    async with feed:
        await feed.peek("0")


async def _health(feed: EventFeed) -> None:
    async with feed:
        await feed.health()


def raised(action: Coroutine[Any, Any, None]) -> RemoteError:
    """The error that an action ends with."""
    with pytest.raises(RemoteError) as caught:
        asyncio.run(action)
    return caught.value
