"""Every way in which a request can be wrong is answered by a 4xx with a code, and changes nothing."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import (
    BOUNDARY,
    END,
    FORM,
    Reply,
    eventually,
    field,
    file_part,
    permissions,
    save,
    send,
    unfinished,
)


def post(server: DevServer, *parts: bytes, end: bytes = END, content_type: str = FORM) -> Reply:
    return send(server, "POST", "/saveToDisk", b"".join(parts) + end, {"Content-Type": content_type})


OPERATION = field("operation", "create")
PATH = field("file_path", "validation/refused")
FILE = file_part(b"12345")


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        pytest.param((PATH, FILE), 400, "missing_field", id="no operation"),
        pytest.param((field("operation", "copy"), PATH), 400, "unknown_operation", id="unknown operation"),
        pytest.param((OPERATION, FILE), 400, "missing_field", id="no file_path"),
        pytest.param((OPERATION, field("file_path", ""), FILE), 400, "missing_field", id="empty file_path"),
        pytest.param((OPERATION, PATH), 400, "missing_field", id="create without file"),
        pytest.param((field("operation", "update"), PATH), 400, "missing_field", id="update without file"),
        pytest.param((field("operation", "move"), PATH), 400, "missing_field", id="move without new_path"),
        pytest.param((field("operation", "rename"), PATH), 400, "missing_field", id="rename without new_path"),
        pytest.param((OPERATION, field("file_path", "a\0b"), FILE), 400, "path_rejected", id="NUL in path"),
        pytest.param((OPERATION, field("file_path", b"\xff\xfe"), FILE), 400, "path_rejected", id="path not UTF-8"),
        pytest.param((OPERATION, field("file_path", "a" * 4097), FILE), 400, "path_rejected", id="path too long"),
        pytest.param((OPERATION, field("file_path", "ä" * 2049), FILE), 400, "path_rejected", id="counted in bytes"),
        pytest.param(
            (field("operation", "move"), PATH, field("new_path", "a" * 4097)),
            400,
            "path_rejected",
            id="new_path too long",
        ),
        pytest.param((OPERATION, PATH, field("size", "4"), FILE), 400, "size_mismatch", id="longer than declared"),
        pytest.param((OPERATION, PATH, field("size", "6"), FILE), 400, "size_mismatch", id="shorter than declared"),
        pytest.param((OPERATION, PATH, field("size", "-5"), FILE), 400, "invalid_field", id="negative size"),
        pytest.param((OPERATION, PATH, field("size", "five"), FILE), 400, "invalid_field", id="size in words"),
        pytest.param((OPERATION, PATH, field("size", "9" * 5000), FILE), 400, "invalid_field", id="size without end"),
        pytest.param(
            (OPERATION, PATH, field("metadata", '{"a":' + "[" * 101 + "]" * 101 + "}"), FILE),
            400,
            "invalid_json",
            id="metadata nested too deeply",
        ),
        pytest.param((OPERATION, PATH, field("metadata", "{"), FILE), 400, "invalid_json", id="broken metadata"),
        pytest.param((OPERATION, PATH, field("metadata", "[1]"), FILE), 400, "invalid_field", id="metadata a list"),
        pytest.param(
            (OPERATION, PATH, field("metadata", '{"a": NaN}'), FILE), 400, "invalid_json", id="metadata with NaN"
        ),
        pytest.param((OPERATION, PATH, FILE, FILE), 400, "invalid_form", id="two files"),
        pytest.param((OPERATION, PATH, PATH, FILE), 400, "invalid_form", id="a field twice"),
        pytest.param((OPERATION, PATH, field("metadata", b'{"a": "\xff"}'), FILE), 400, "invalid_form", id="not UTF-8"),
        pytest.param(
            (OPERATION, PATH, field("metadata", "x" * 70_000), FILE), 413, "field_too_large", id="a field too large"
        ),
        pytest.param((*(field(f"f{n}", "x") for n in range(40)), FILE), 400, "invalid_form", id="too many fields"),
        pytest.param((f"--{BOUNDARY}\r\n\r\nx\r\n".encode(),), 400, "invalid_form", id="a part without a name"),
    ],
)
def test_a_wrong_form_is_refused(server: DevServer, parts: tuple[bytes, ...], status: int, code: str) -> None:
    reply = post(server, *parts)
    assert (reply.status, reply.code) == (status, code)
    assert reply.json["error"]["message"]
    assert not server.files("validation/")
    eventually(lambda: unfinished(server) == 0)


def test_a_form_without_its_end_is_refused(server: DevServer) -> None:
    reply = post(server, OPERATION, PATH, FILE, end=b"")
    assert (reply.status, reply.code) == (400, "invalid_form")
    assert not server.files("validation/")


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("multipart/form-data", 400, "invalid_form"),
        (f"multipart/form-data; boundary={'x' * 300}", 400, "invalid_form"),
        ("multipart/form-data; boundary=another", 400, "invalid_form"),
        ("application/json", 415, "not_a_form"),
        ("", 415, "not_a_form"),
    ],
)
def test_a_body_that_is_no_form_is_refused(server: DevServer, content_type: str, status: int, code: str) -> None:
    reply = post(server, OPERATION, PATH, FILE, content_type=content_type)
    assert (reply.status, reply.code) == (status, code)


def test_the_longest_path_is_possible(server: DevServer) -> None:
    path = "v" * 4096
    assert save(server, "create", path, b"x").status == 200
    assert server.content(path) == b"x"


def test_fields_may_come_after_the_file(server: DevServer) -> None:
    reply = post(server, file_part(b"12345"), field("size", "5"), OPERATION, field("file_path", "late-fields"))
    assert reply.status == 200
    assert server.content("late-fields") == b"12345"


def test_operations_without_content_may_come_as_a_plain_form(server: DevServer) -> None:
    reply = send(
        server,
        "POST",
        "/saveToDisk",
        b"operation=get&file_path=plain%2Fmissing",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (reply.status, reply.code) == (404, "not_found")


def test_metadata_come_back_as_they_were_sent(server: DevServer) -> None:
    text = r'{"a": {"deep": [1, null, "\ud800"]}, "ü": "\u0000"}'
    assert save(server, "create", "odd-metadata", b"x", metadata=text).json["metadata"] == {
        "a": {"deep": [1, None, "\ud800"]},
        "ü": "\0",
    }


@pytest.mark.parametrize("mode", ["rw-r--r-", "rw-r--r--x", "0644", "rwxrwxrwq", "wr-r--r--"])
def test_permissions_that_do_not_read_like_permissions_are_refused(server: DevServer, mode: str) -> None:
    save(server, "create", "mode-refused", b"x")
    reply = permissions(server, "mode-refused", permissions=mode)
    assert (reply.status, reply.code) == (400, "invalid_field")
    assert permissions(server, "mode-refused").json["permissions"] == "rw-r--r--"


def test_permissions_without_a_path_are_refused(server: DevServer) -> None:
    assert permissions(server, "").code == "missing_field"


@pytest.mark.parametrize("count", ["0", "101", "-1", "ten", "", "1.5", "٣"])
def test_a_count_outside_1_to_100_is_refused(server: DevServer, count: str) -> None:
    reply = send(server, "GET", f"/pubSubFullList?count={quote(count)}")
    assert (reply.status, reply.code) == (400, "invalid_field")


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
def test_a_page_size_outside_1_to_1000_is_refused(server: DevServer, limit: str) -> None:
    assert send(server, "GET", f"/files?limit={limit}").code == "invalid_field"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"[1]", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"a":"' + b"x" * 5_000_000 + b'"}', "body_too_large"),
    ],
)
def test_results_that_are_no_json_object_are_refused(server: DevServer, body: bytes, code: str) -> None:
    reply = send(server, "POST", "/reportResults", body)
    assert reply.status in {400, 413}
    assert reply.code == code


@pytest.mark.parametrize(
    "event",
    [
        "text",
        {"event_type": "explode", "file_path": "a"},
        {"event_type": "create"},
        {"event_type": "create", "file_path": ""},
        {"event_type": "create", "file_path": 5},
        {"event_type": "move", "file_path": "a"},
        {"event_type": "create", "file_path": "a", "metadata": "text"},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(server: DevServer, event: object) -> None:
    reply = send(server, "POST", "/admin/events", json.dumps(event).encode())
    assert (reply.status, reply.code) == (400, "invalid_event")


def test_an_unknown_route_is_answered_in_json(server: DevServer) -> None:
    reply = send(server, "GET", "/nothing/here")
    assert (reply.status, reply.code) == (404, "no_such_route")


def test_a_wrong_method_is_answered_in_json(server: DevServer) -> None:
    reply = send(server, "GET", "/saveToDisk")
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"
