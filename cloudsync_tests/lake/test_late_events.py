"""An event that comes after a newer one of its key is stored, and asks for nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudsync_pipeline.core.events import Event, EventType, FeedPage
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.feeding import LATE, record_page
from cloudsync_tests.lake.builders import NOON, run_sql

LATER = NOON + timedelta(minutes=5)


def an_event(key: str, sequencer: str | None, kind: EventType = EventType.CREATE, new_key: str | None = None) -> Event:
    wanted = Permissions(permissions="rw-------") if kind is EventType.CHANGE_PERMISSION else None
    return Event(f"{kind} {key} {sequencer}", kind, key, new_key, sequencer=sequencer, permissions=wanted, raw="{}")


def record(lake: Lake, *events: Event, now: datetime = LATER) -> None:
    recorded = record_page(lake, "run-1", FeedPage(events=events, received=len(events)), now)
    assert recorded.new == len(events)


def settled(lake: Lake) -> None:
    """Every debt was paid."""
    run_sql(lake, "DELETE FROM owed")


def owed(lake: Lake) -> set[str]:
    return {path for (path,) in lake.read("SELECT path FROM owed")}


def stored(lake: Lake) -> int:
    return int(lake.scalar("SELECT count(*) FROM events"))


def test_an_older_event_that_comes_later_owes_nothing_and_is_stored(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A0499", EventType.DELETE))
    assert owed(lake) == set()
    assert stored(lake) == 2


def test_a_newer_event_owes(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A0501", EventType.DELETE))
    assert owed(lake) == {"a"}


def test_an_event_as_new_as_the_known_one_owes(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A0500", EventType.DELETE))
    assert owed(lake) == {"a"}


def test_sequencers_of_other_keys_mean_nothing(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("b", "0A04"))
    assert owed(lake) == {"b"}


def test_within_a_page_the_newest_one_counts(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), an_event("a", "0A04", EventType.DELETE), an_event("b", "0A01"))
    assert dict(lake.read("SELECT path, reason FROM owed")) == {"a": "event: create", "b": "event: create"}
    assert stored(lake) == 3


def test_without_a_sequencer_an_event_always_owes(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", None, EventType.DELETE))
    assert owed(lake) == {"a"}


def test_an_event_that_names_two_keys_always_owes(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A04", EventType.RENAME, "b"))
    assert owed(lake) == {"a", "b"}


def test_permissions_and_content_do_not_make_each_other_old(lake: Lake) -> None:
    record(lake, an_event("a", "0A05", EventType.CHANGE_PERMISSION), an_event("b", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A04"), an_event("b", "0A04", EventType.CHANGE_PERMISSION))
    assert set(lake.read("SELECT path, aspect FROM owed")) == {("a", "content"), ("b", "permissions")}
    assert lake.scalar("SELECT count(*) FROM desired_permissions") == 2


def test_what_is_longer_ago_is_not_looked_for(lake: Lake) -> None:
    record(lake, an_event("a", "0A05"), now=NOON)
    settled(lake)
    record(lake, an_event("a", "0A04", EventType.DELETE), now=NOON + LATE + timedelta(seconds=1))
    assert owed(lake) == {"a"}
