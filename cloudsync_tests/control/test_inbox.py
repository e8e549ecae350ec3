"""What is sent to us is kept once, in order, for whom it is meant, until it was dealt with."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.control import Backlog, Control, Inbox, Notice
from cloudsync_pipeline.control import database as databases
from cloudsync_pipeline.control.database import Database
from cloudsync_pipeline.control.tables import schema_version
from cloudsync_pipeline.core.errors import ConfigError, Paused, StateError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def inbox(control: Control) -> Inbox:
    """That of a fleet with the integrations `acme` and `globex`."""
    control.ensure("acme")
    control.ensure("globex")
    return control.inbox


def bodies(inbox: Inbox, integration: str = "acme", limit: int = 100) -> list[object]:
    return [json.loads(waiting.body) for waiting in inbox.oldest(integration, limit)]


def test_notices_are_kept_in_the_order_in_which_they_came(inbox: Inbox) -> None:
    assert inbox.put("acme", [Notice({"n": 1}), Notice({"n": 2})]) == 2
    assert inbox.put("acme", [Notice({"n": 3})]) == 1
    assert bodies(inbox) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert bodies(inbox, limit=2) == [{"n": 1}, {"n": 2}]


def test_each_integration_has_its_own(inbox: Inbox) -> None:
    inbox.put("acme", [Notice({"n": 1})])
    assert inbox.put("globex", [Notice({"n": 1}), Notice({"n": 2})]) == 2
    inbox.remove("globex", [waiting.id for waiting in inbox.oldest("acme", 10)])
    assert bodies(inbox) == [{"n": 1}]
    assert bodies(inbox, "globex") == [{"n": 1}, {"n": 2}]


def test_what_is_stored_is_there_after_reopening(url: str) -> None:
    with Control.open(url) as control:
        control.ensure("acme")
        control.inbox.put("acme", [Notice({"n": 1})])
    inbox = Inbox.open(url)
    assert bodies(inbox) == [{"n": 1}]
    inbox.close()


def test_a_notice_that_is_sent_again_while_it_waits_is_stored_once(inbox: Inbox) -> None:
    notices = [Notice({"Records": [{"a": 1, "b": 2}]}), Notice({"Records": [{"b": 2, "a": 1}]})]
    assert inbox.put("acme", notices) == 1
    assert inbox.put("acme", notices) == 0
    assert len(bodies(inbox)) == 1


def test_the_senders_own_identity_counts_where_it_gives_one(inbox: Inbox) -> None:
    assert inbox.put("acme", [Notice({"n": 1}, identity="x"), Notice({"n": 1}, identity="y")]) == 2
    assert inbox.put("acme", [Notice({"n": 2}, identity="x" * 5000), Notice({"n": 3}, identity="x")]) == 1
    assert bodies(inbox) == [{"n": 1}, {"n": 1}, {"n": 2}]


def test_a_change_without_a_time_may_truly_happen_twice(inbox: Inbox) -> None:
    change = Notice({"event_type": "update", "file_path": "a"})
    timed = Notice({"event_type": "update", "file_path": "a", "timestamp": "2026-03-01T12:00:00Z"})
    assert inbox.put("acme", [change, change]) == 2
    assert inbox.put("acme", [timed, timed]) == 1


def test_after_it_was_dealt_with_a_notice_can_come_again_as_another_delivery(inbox: Inbox) -> None:
    inbox.put("acme", [Notice({"n": 1})], now=NOON)
    (first,) = inbox.oldest("acme", 10)
    inbox.remove("acme", [first.id])
    inbox.remove("acme", [first.id])
    assert bodies(inbox) == []
    inbox.put("acme", [Notice({"n": 1})], now=NOON + timedelta(hours=1))
    (second,) = inbox.oldest("acme", 10)
    assert second.id != first.id
    assert second.delivery != first.delivery


def test_a_delivery_is_named_alike_each_time_it_is_looked_at(inbox: Inbox) -> None:
    inbox.put("acme", [Notice({"n": 1})])
    assert inbox.oldest("acme", 10) == inbox.oldest("acme", 10)


def test_whatever_json_holds_can_be_kept(inbox: Inbox) -> None:
    values = [{"nul": "\0", "surrogate": "\udcff", "emoji": "\U0001f389"}, [1, 2.5, None], "text", True]
    inbox.put("acme", [Notice(value) for value in values])
    assert bodies(inbox) == values


def test_very_many_are_kept_and_removed_at_once(inbox: Inbox) -> None:
    assert inbox.put("acme", [Notice({"n": n}) for n in range(1234)]) == 1234
    waiting = inbox.oldest("acme", 2000)
    assert [json.loads(one.body)["n"] for one in waiting] == list(range(1234))
    inbox.remove("acme", [one.id for one in waiting[:1200]])
    assert len(bodies(inbox)) == 34


def test_nothing_is_nothing(inbox: Inbox) -> None:
    assert inbox.put("acme", []) == 0
    inbox.remove("acme", [])


def test_several_senders_at_once_store_each_notice_once(inbox: Inbox) -> None:
    stored: list[int] = []
    threads = [
        threading.Thread(target=lambda: stored.append(inbox.put("acme", [Notice({"n": n}) for n in range(50)])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(stored) == 50
    assert len(bodies(inbox)) == 50


def test_a_paused_integration_gets_its_notices(control: Control, inbox: Inbox) -> None:
    control.pause("acme", "holiday")
    assert inbox.put("acme", [Notice({"n": 1})]) == 1


def test_what_nobody_will_ever_take_is_refused(control: Control, inbox: Inbox) -> None:
    with pytest.raises(ConfigError, match="nobody: There is no such integration"):
        inbox.put("nobody", [Notice({"n": 1})])
    control.remove("acme", "left")
    with pytest.raises(Paused, match="acme: The integration was removed"):
        inbox.put("acme", [Notice({"n": 1})])
    assert bodies(inbox) == []


def test_when_storing_fails_nothing_is_stored_and_it_is_told(control: Control, inbox: Inbox, url: str) -> None:
    engine = sa.create_engine(sa.make_url(url.replace("postgresql:", "postgresql+psycopg2:")))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE inbox RENAME TO elsewhere"))
    with pytest.raises(StateError):
        inbox.put("acme", [Notice({"n": 1})])
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO inbox"))
    engine.dispose()
    assert bodies(inbox) == []


def test_a_database_from_before_there_was_an_inbox_gets_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(databases, "MIGRATIONS", databases.MIGRATIONS[:1])
        with Control.open(url) as control:
            control.ensure("acme")
    with Control.open(url) as control:
        assert control.inbox.put("acme", [Notice({"n": 1})]) == 1
    opened = Database.open(url)
    with opened.reading() as connection:
        assert connection.execute(sa.select(schema_version.c.version)).scalars().all() == [
            *range(1, len(databases.MIGRATIONS) + 1)
        ]
    opened.close()


def test_backlogs_tell_how_much_waits_and_since_when(control: Control) -> None:
    control.ensure("acme")
    control.ensure("idle")
    first, later = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, tzinfo=UTC)
    control.inbox.put("acme", [Notice({"n": 1})], now=first)
    control.inbox.put("acme", [Notice({"n": 2}), Notice({"n": 3})], now=later)
    assert control.inbox.backlogs() == {"acme": Backlog(3, first)}
