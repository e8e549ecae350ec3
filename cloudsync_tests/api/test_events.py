"""Notifications that storages send, kept before they are answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import StateError
from cloudsync_tests.api.builders import READER, SYNCER, Served, problem
from cloudsync_tests.feeds import messages

EVENTS = "/integrations/photos/events"
ENTRY = {"event_type": "create", "file_path": "2026/08.jpg", "timestamp": "2026-01-02T03:04:05Z"}
KINDS = {
    "S3": messages.notification(messages.a_record()),
    "MinIO": messages.minio(),
    "EventBridge": messages.eventbridge(),
    "SeaweedFS": messages.filer("/buckets/acme-data/a", new={}),
    "HTTP API": json.dumps(ENTRY),
}


def waiting(served: Served) -> list[Any]:
    inbox = served.client.app.state.world.control().inbox  # type: ignore[attr-defined]
    return [json.loads(one.body) for one in inbox.oldest("photos", 1000)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("declared", ["application/json", "text/plain; charset=UTF-8", None])
def test_a_notification_is_stored_when_it_is_answered(served: Served, kind: str, declared: str | None) -> None:
    body = KINDS[kind]
    headers = {"Content-Type": declared} if declared else {}
    answer = served.call("POST", EVENTS, key=SYNCER, content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert json.loads(body) in waiting(served)


def test_one_that_waits_already_is_not_stored_again(served: Served) -> None:
    entry = ENTRY | {"file_path": "twice"}
    assert [served.call("POST", EVENTS, json=entry).json()["stored"] for _ in range(2)] == [1, 0]


def test_what_could_not_be_stored_is_not_confirmed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StateError("The disk is full.", remedy="Free some space.")

    monkeypatch.setattr("cloudsync_pipeline.control.inbox.Inbox.put", full)
    document = problem(served.call("POST", EVENTS, json=ENTRY | {"file_path": "lost"}), 503, "state")
    assert document["remedy"] == "Free some space."


def test_a_reader_hands_nothing_over(served: Served) -> None:
    problem(served.call("POST", EVENTS, key=READER, json=ENTRY), 403, "forbidden")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [("held", 409, "no-inbox"), ("broken", 409, "configuration"), ("nobody", 404, "no-integration")],
)
def test_an_integration_that_reads_no_inbox_gets_nothing(served: Served, name: str, status: int, kind: str) -> None:
    assert problem(served.call("POST", f"/integrations/{name}/events", json=ENTRY), status, kind)["remedy"]
