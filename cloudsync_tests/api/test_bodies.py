"""Bodies that are too large, too slow, or nothing that anybody understands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from cloudsync_pipeline.api.bodies import BodyLimit
from cloudsync_tests.api.builders import Served, problem

EVENTS = "/integrations/photos/events"


def test_a_body_that_says_it_is_too_large_is_not_read(served: Served) -> None:
    problem(served.call("POST", EVENTS, content=b"{" + b" " * 5000), 413, "too-large")


@pytest.mark.parametrize("path", [EVENTS, "/sync/initial"])
def test_a_body_that_does_not_say_so_is_cut_off(served: Served, path: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    answer = served.call("POST", path, content=endless(), headers={"Content-Type": "application/json"})
    assert "content-length" not in answer.request.headers
    problem(answer, 413, "too-large")


def test_a_body_of_the_allowed_size_is_read_whole(served: Served) -> None:
    answer = served.call("POST", EVENTS, content=b'{"event_type": "create", "file_path": "a"}'.ljust(4096))
    assert answer.status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": "http", "headers": []}
    with pytest.raises(HTTPException) as caught:
        asyncio.run(BodyLimit(application, most=lambda: 10, within=0.05)(scope, never, send))
    assert caught.value.status_code == 408


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "no-json"),
        (b"{", 400, "no-json"),
        (b"\xff\xfe", 400, "no-json"),
        (b'{"size": NaN}', 400, "no-json"),
        (b"[]", 422, "no-object"),
        (b'"text"', 422, "no-object"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, 422, "too-deep"),
    ],
)
def test_what_is_no_json_object_is_no_event(served: Served, body: bytes, status: int, kind: str) -> None:
    problem(served.call("POST", EVENTS, content=body), status, kind)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body.integration"),
        ({"integration": 7}, "body.integration"),
        ({"integration": "../etc"}, "body.integration"),
        ({"integration": "photos", "force": True}, "body.force"),
        ([], "body"),
    ],
)
def test_what_is_wrong_with_a_request_is_named_and_not_said_back(served: Served, body: object, where: str) -> None:
    answer = served.call("POST", "/sync/initial", json=body)
    document = problem(answer, 422, "invalid")
    assert where in [one["where"] for one in document["errors"]]
    assert "../etc" not in answer.text


def test_json_that_cannot_be_read_is_a_bad_request(served: Served) -> None:
    answer = served.call("POST", "/sync/initial", content=b"{", headers={"Content-Type": "application/json"})
    problem(answer, 400, "no-json")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [("GET", "/nothing", 404, "not-found"), ("DELETE", "/integrations", 405, "method-not-allowed")],
)
def test_calls_that_there_are_not_are_problems_too(
    served: Served, method: str, path: str, status: int, kind: str
) -> None:
    answer: httpx.Response = served.call(method, path)
    problem(answer, status, kind)
    if status == 405:
        assert answer.headers["allow"] == "GET"


def test_a_defect_tells_the_caller_nothing_but_an_id(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(served.client.app.state.world, "ask_control", broken)  # type: ignore[attr-defined]
    answer = served.call("GET", "/sync/status")
    document = problem(answer, 500, "failed")
    assert "hunter2" not in answer.text
    assert document["instance"].replace("-", "").endswith(answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] in caplog.text
    assert "hunter2" in caplog.text
