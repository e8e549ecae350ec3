"""The event list and the results that syncs report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import send


def an_event(number: int) -> dict[str, Any]:
    return {
        "event_type": "create",
        "file_path": f"/f{number}",
        "new_path": None,
        "metadata": {"file_type": "text/plain"},
        "timestamp": "2026-01-01T00:00:00Z",
    }


def listed(server: DevServer, query: str = "") -> list[Any]:
    events: list[Any] = server.call("GET", f"/pubSubFullList{query}")["events"]
    return events


def test_the_newest_events_come_oldest_first(own_server: DevServer) -> None:
    own_server.publish(*(an_event(number) for number in range(5)))
    assert listed(own_server, "?count=3") == [an_event(2), an_event(3), an_event(4)]


def test_the_list_repeats_what_it_gave(own_server: DevServer) -> None:
    own_server.publish(an_event(1))
    assert listed(own_server) == listed(own_server) == [an_event(1)]


def test_the_answer_counts_what_it_holds(own_server: DevServer) -> None:
    own_server.publish(*(an_event(number) for number in range(130)))
    answer = own_server.call("GET", "/pubSubFullList?count=100")
    assert (len(answer["events"]), answer["total_count"], answer["stored_count"]) == (100, 100, 130)
    assert datetime.now(UTC) - datetime.fromisoformat(answer["generated_at"]) < timedelta(minutes=1)


def test_an_event_without_a_time_gets_the_time_it_came(own_server: DevServer) -> None:
    own_server.publish({"event_type": "delete", "file_path": "a"})
    (event,) = listed(own_server)
    assert datetime.now(UTC) - datetime.fromisoformat(event["timestamp"]) < timedelta(minutes=1)
    assert (event["new_path"], event["metadata"]) == (None, {})


def test_one_event_may_come_without_a_list(own_server: DevServer) -> None:
    own_server.call("POST", "/admin/events", an_event(1))
    assert listed(own_server) == [an_event(1)]


def test_one_wrong_event_refuses_all_that_came_with_it(own_server: DevServer) -> None:
    assert send(own_server, "POST", "/admin/events", b'[{"event_type": "create", "file_path": "a"}, 5]').status == 400
    assert listed(own_server) == []


def test_raw_events_are_given_as_they_came(own_server: DevServer) -> None:
    odd: list[Any] = [5, "text", None, [], {"event_type": "explode"}, {"file_path": "\ud800\0"}]
    own_server.publish(*odd, raw=True)
    assert listed(own_server) == odd


def test_the_list_can_be_cleared(own_server: DevServer) -> None:
    own_server.publish(an_event(1), an_event(2))
    assert own_server.call("DELETE", "/admin/events") == {"status": "cleared", "cleared": 2}
    assert listed(own_server) == []


def test_results_are_received_and_shown_in_order(own_server: DevServer) -> None:
    for number in range(3):
        answer = own_server.call("POST", "/reportResults", {"sync_type": "initial", "number": number})
        assert answer["status"] == "received"
        assert answer["message"]
        assert datetime.now(UTC) - datetime.fromisoformat(answer["timestamp"]) < timedelta(minutes=1)
    assert [result["number"] for result in own_server.results()] == [0, 1, 2]


def test_results_can_be_cleared(own_server: DevServer) -> None:
    own_server.call("POST", "/reportResults", {"success": True})
    assert own_server.call("DELETE", "/admin/results") == {"status": "cleared", "cleared": 1}
    assert own_server.results() == []
