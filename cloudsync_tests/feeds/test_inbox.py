"""The inbox as a feed: whatever storages and file managers send, by the guarantees of any other feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from cloudsync_pipeline.control import Control, Inbox, Notice
from cloudsync_pipeline.control import database as databases
from cloudsync_pipeline.core.errors import SchemaTooNew, Unavailable
from cloudsync_pipeline.core.events import EventType, FeedPage
from cloudsync_pipeline.feeds.inbox import InboxFeed
from cloudsync_tests.feeds.message_harnesses import SCOPE
from cloudsync_tests.feeds.messages import BUCKET, a_record, a_test_event, an_entry, eventbridge, filer, minio, sns

T = TypeVar("T")


@pytest.fixture
def inbox(control_url: str) -> Iterator[Inbox]:
    """That of a fleet with the integrations `acme` and `globex`."""
    with Control.open(control_url) as control:
        control.ensure("acme")
        control.ensure("globex")
        yield control.inbox


def with_feed(url: str, action: Callable[[InboxFeed], Awaitable[T]], integration: str = "acme") -> T:
    async def scenario() -> T:
        async with InboxFeed(lambda: Inbox.open(url), integration, SCOPE) as feed:
            return await action(feed)

    return asyncio.run(scenario())


async def taken(feed: InboxFeed, limit: int = 100) -> FeedPage:
    """A page, acknowledged."""
    page = await feed.receive(limit=limit)
    await feed.acknowledge(page)
    return page


def test_everything_that_speaks_of_objects_is_understood(inbox: Inbox, control_url: str) -> None:
    sent = [
        json.dumps({"Records": [a_record(key="native")]}),
        eventbridge(key="eventbridge"),
        sns(json.dumps({"Records": [a_record(key="sns")]})),
        minio(key="minio"),
        filer(f"/buckets/{BUCKET}/filer", new={}),
        json.dumps(an_entry("create", "own")),
    ]
    inbox.put("acme", [Notice(json.loads(body)) for body in sent])
    page = with_feed(control_url, taken)
    assert [event.key for event in page.events] == ["native", "eventbridge", "sns", "minio", "filer", "own"]
    assert inbox.oldest("acme", 10) == []


def test_a_notice_stays_until_it_is_acknowledged(inbox: Inbox, control_url: str) -> None:
    inbox.put("acme", [Notice({"Records": [a_record(key="a")]})])
    first = with_feed(control_url, lambda feed: feed.receive(limit=10))
    assert len(inbox.oldest("acme", 10)) == 1
    again = with_feed(control_url, taken)
    assert first.events == again.events
    assert inbox.oldest("acme", 10) == []


def test_each_integration_takes_its_own(inbox: Inbox, control_url: str) -> None:
    inbox.put("acme", [Notice({"Records": [a_record(key="a")]})])
    inbox.put("globex", [Notice({"Records": [a_record(key="b")]})])
    assert [event.key for event in with_feed(control_url, taken, "globex").events] == ["b"]
    assert len(inbox.oldest("acme", 10)) == 1


def test_a_notice_with_more_records_than_asked_for_is_a_page_of_its_own(inbox: Inbox, control_url: str) -> None:
    inbox.put(
        "acme",
        [
            Notice({"Records": [a_record(key="a")]}),
            Notice({"Records": [a_record(key="b"), a_record(key="c"), a_record(key="d")]}),
            Notice({"Records": [a_record(key="e")]}),
        ],
    )

    async def scenario(feed: InboxFeed) -> list[tuple[list[str], bool]]:
        pages = [await taken(feed, limit=2) for _ in range(3)]
        return [([event.key for event in page.events], page.full) for page in pages]

    assert with_feed(control_url, scenario) == [(["a"], True), (["b", "c", "d"], True), (["e"], False)]


def test_the_same_change_told_twice_over_time_is_two_events(inbox: Inbox, control_url: str) -> None:
    change = Notice(an_entry(EventType.UPDATE, "a"))
    seen = set()
    for _ in range(2):
        inbox.put("acme", [change])
        seen |= {event.identity for event in with_feed(control_url, taken).events}
    assert len(seen) == 2


def test_a_webhook_that_is_sent_again_later_is_the_same_event(inbox: Inbox, control_url: str) -> None:
    notice = Notice({"Records": [a_record(key="a")]})
    seen = set()
    for _ in range(2):
        inbox.put("acme", [notice])
        seen |= {event.identity for event in with_feed(control_url, taken).events}
    assert len(seen) == 1


def test_nonsense_and_tests_are_counted_and_removed(inbox: Inbox, control_url: str) -> None:
    inbox.put("acme", [Notice("text"), Notice(json.loads(a_test_event())), Notice([1])])
    page = with_feed(control_url, taken)
    assert (len(page.malformed), page.ignored, page.received) == (2, 1, 3)
    assert inbox.oldest("acme", 10) == []


def test_a_database_that_cannot_be_opened_is_told_without_its_password(tmp_path: object) -> None:
    url = f"postgresql://fleet:sesame@/fleet?host={tmp_path}"
    with pytest.raises(Unavailable, match="the inbox: The control database") as caught:
        with_feed(url, lambda feed: feed.health())
    assert "sesame" not in str(caught.value)


def test_a_newer_database_is_not_taken_for_one_that_is_away(
    inbox: Inbox, control_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inbox.oldest("acme", 1) == []
    monkeypatch.setattr(databases, "MIGRATIONS", databases.MIGRATIONS[:1])
    with pytest.raises(SchemaTooNew):
        with_feed(control_url, lambda feed: feed.receive(limit=1))
