"""What the client takes for an acknowledgement, and what every refusal means."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ConfigError,
    NotFound,
    PathRejected,
    PreconditionFailed,
    Rejected,
    StorageFull,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager
from cloudsync_tests.contracts.file_manager import an_upload
from cloudsync_tests.file_managers.http_servers import against, answering, fields, saying
from cloudsync_tests.scripted import Reply, Script, Then

Use = Callable[[HttpApiFileManager], Awaitable[Any]]


def put(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.put("file", an_upload(b"content"))


def update(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.put("file", an_upload(b"content", replace=True))


def move(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.move("file", "folder/moved")


def rename(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.move("folder/file", "folder/renamed")


def delete(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.delete("file")


def get(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.get("file")


def read_permissions(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.read_permissions("file")


def set_permissions(manager: HttpApiFileManager) -> Awaitable[Any]:
    return manager.set_permissions("file", Permissions("rw-------"))


EVERY_USE = (put, update, move, delete, get, read_permissions, set_permissions)


def refused_to_all(script: Script, kind: type[CloudSyncError], match: str | None = None) -> list[CloudSyncError]:
    """The errors of all calls against a server, each of exactly this kind."""

    async def uses(manager: HttpApiFileManager) -> list[CloudSyncError]:
        errors = []
        for use in EVERY_USE:
            with pytest.raises(kind, match=match) as caught:
                await use(manager)
            assert type(caught.value) is kind, use
            errors.append(caught.value)
        return errors

    errors: list[CloudSyncError] = against(script, uses)[0]
    return errors


REFUSALS: list[tuple[int, dict[str, str], bytes, type[CloudSyncError]]] = [
    (300, {}, b"", ConfigError),
    (301, {"Location": "/elsewhere"}, b"", ConfigError),
    (302, {"Location": "https://elsewhere/"}, b"", ConfigError),
    (304, {}, b"", ConfigError),
    (307, {"Location": "/elsewhere"}, b"", ConfigError),
    (308, {"Location": "/elsewhere"}, b"", ConfigError),
    (400, {}, b"", Rejected),
    (400, {}, b'{"detail": "file is required"}', Rejected),
    (400, {}, b'{"error": {"code": "invalid_field", "message": "size is not a number"}}', Rejected),
    (400, {}, b'{"error": {"code": "path_rejected", "message": "no"}}', PathRejected),
    (400, {}, b'{"code": "name_too_long", "message": "no"}', PathRejected),
    (400, {}, b'{"detail": "The file path is not allowed"}', PathRejected),
    (400, {}, b'{"error": "Invalid path"}', PathRejected),
    (401, {}, b"", AccessDenied),
    (403, {}, b"<html>no</html>", AccessDenied),
    (404, {}, b'{"error": {"code": "no_such_route", "message": "no"}}', ConfigError),
    (405, {}, b"", Rejected),
    (407, {}, b"", AccessDenied),
    (408, {}, b"", Unavailable),
    (409, {}, b"", Rejected),
    (409, {}, b'{"error": {"code": "path_clash", "message": "a folder has this name"}}', PathRejected),
    (411, {}, b"", Rejected),
    (412, {}, b"", PreconditionFailed),
    (413, {}, b"", Rejected),
    (414, {}, b"", PathRejected),
    (415, {}, b"", Rejected),
    (422, {}, b'{"detail": [{"loc": ["body", "size"], "msg": "field required"}]}', Rejected),
    (422, {}, b'{"code": "invalid_path", "message": "no"}', PathRejected),
    (425, {}, b"", Unavailable),
    (429, {"Retry-After": "7"}, b"", Throttled),
    (429, {}, b"", Throttled),
    (451, {}, b"", Rejected),
    (500, {}, b"", Unavailable),
    (501, {}, b"", Unavailable),
    (502, {}, b"<html>bad gateway</html>", Unavailable),
    (503, {}, b"", Unavailable),
    (503, {"Retry-After": "7"}, b"", Throttled),
    (504, {}, b"", Unavailable),
    (507, {}, b"", StorageFull),
    (599, {}, b"", Unavailable),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind"), REFUSALS)
def test_every_refusal_has_its_error(
    status: int, headers: dict[str, str], body: bytes, kind: type[CloudSyncError]
) -> None:
    for error in refused_to_all(answering(Reply(status, headers, body)), kind):
        assert error.key is not None
        assert error.retry_after == (7.0 if "Retry-After" in headers else None)
        if not error.retryable and kind not in (Rejected, PreconditionFailed):
            assert error.remedy


@pytest.mark.parametrize("use", [update, move, delete, get, read_permissions, set_permissions])
@pytest.mark.parametrize("body", [b"", b'{"detail": "no such file"}', b'{"error": {"code": "not_found"}}'])
def test_404_means_that_the_file_is_missing(use: Use, body: bytes) -> None:
    with pytest.raises(NotFound):
        against(answering(Reply(404, body=body)), use)


def test_404_to_a_create_is_no_missing_file() -> None:
    with pytest.raises(Rejected, match="404"):
        against(answering(Reply(404)), put)


def test_the_servers_reason_is_told() -> None:
    with pytest.raises(Rejected, match="the quota of this folder"):
        against(answering(Reply(400, body=b'{"detail": "the quota of this folder"}')), put)


def test_a_page_of_html_is_not_told() -> None:
    with pytest.raises(Unavailable) as caught:
        against(answering(Reply(502, body=b"<html><body>" + b"x" * 100_000)), put)
    assert "<" not in str(caught.value)


# --- acknowledgements ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 203])
def test_any_success_is_one(status: int) -> None:
    async def uses(manager: HttpApiFileManager) -> int:
        return len([await use(manager) for use in EVERY_USE])

    assert against(saying(status, permissions="rw-------"), uses)[0] == len(EVERY_USE)


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"[]", b'"saved"', b"{", b"\xff\xfe", b'{"a":' * 100_000, b"{}", b'{"file_path": null}']
)
def test_garbage_acknowledges_nothing(body: bytes) -> None:
    refused_to_all(answering(Reply(200, body=body)), BadAnswer)


def test_an_answer_that_breaks_off_acknowledges_nothing() -> None:
    refused_to_all(answering(Reply(200, body=b'{"file_path"', announced=500, then=Then.CLOSE)), BadAnswer)


def test_a_connection_that_breaks_is_unreachable() -> None:
    refused_to_all(answering(Reply(raw=b"", then=Then.CLOSE)), Unreachable)


@pytest.mark.parametrize("told", ["other/file", "file", "//tenant/file", "tenant/file ", "Tenant/file", None, 7, ...])
def test_another_path_acknowledges_nothing(told: object) -> None:
    refused_to_all(saying(file_path=told), BadAnswer, "path")


@pytest.mark.parametrize("use", [put, update, delete, get, read_permissions])
def test_a_leading_slash_is_tolerated(use: Use) -> None:
    against(saying(file_path="/tenant/file"), use)


@pytest.mark.parametrize("use", [put, update, move, delete, get])
@pytest.mark.parametrize("told", ["other", "CREATE", 1])
def test_another_operation_acknowledges_nothing(use: Use, told: object) -> None:
    with pytest.raises(BadAnswer, match="operation"):
        against(saying(operation=told), use)


@pytest.mark.parametrize("use", [put, update, move, delete, get])
@pytest.mark.parametrize("status", ["error", "FAILED", "rejected", False, 500])
def test_a_status_of_failure_acknowledges_nothing(use: Use, status: object) -> None:
    with pytest.raises(BadAnswer, match="status"):
        against(saying(status=status), use)


@pytest.mark.parametrize("use", [delete, get])
def test_a_status_of_absence_is_not_found(use: Use) -> None:
    with pytest.raises(NotFound):
        against(saying(status="not_found"), use)


@pytest.mark.parametrize("use", [put, update, move, get])
@pytest.mark.parametrize("told", [None, "", [], {}, True, ...])
def test_without_an_internal_id_nothing_is_acknowledged(use: Use, told: object) -> None:
    with pytest.raises(BadAnswer, match="internal_id"):
        against(saying(internal_id=told), use)


@pytest.mark.parametrize("use", [put, update])
@pytest.mark.parametrize("told", [0, 6, 8, "8", -1, True, "seven", 7.5, [7]])
def test_another_size_acknowledges_nothing(use: Use, told: object) -> None:
    with pytest.raises(BadAnswer, match="bytes"):
        against(saying(size=told), use)


@pytest.mark.parametrize("told", [7, "7", None, ...])
def test_the_size_may_be_text_or_missing(told: object) -> None:
    state, _ = against(saying(size=told), put)
    assert state.size == (None if told in (None, ...) else 7)


def test_an_internal_id_may_be_a_number() -> None:
    state, _ = against(saying(internal_id=42), put)
    assert state.internal_id == "42"


@pytest.mark.parametrize("told", ["tenant/other", "folder/moved", 7])
def test_a_move_elsewhere_is_none(told: object) -> None:
    with pytest.raises(BadAnswer, match="new_path"):
        against(saying(new_path=told), move)


def test_a_move_may_be_told_by_either_path() -> None:
    for changes in ({}, {"file_path": "/tenant/folder/moved", "new_path": None}, {"new_path": "/tenant/folder/moved"}):
        state, _ = against(saying(**changes), move)
        assert state.path == "folder/moved"


def test_a_move_that_names_only_the_old_path_is_none() -> None:
    with pytest.raises(BadAnswer, match="new_path"):
        against(saying(new_path=None), move)


def test_a_rename_stays_in_its_folder_and_a_move_leaves_it() -> None:
    _, asked = against(saying(), rename)
    assert fields(asked[-1]) == {
        "operation": "rename",
        "file_path": "tenant/folder/file",
        "new_path": "tenant/folder/renamed",
    }
    _, asked = against(saying(), move)
    assert fields(asked[-1])["operation"] == "move"


def test_permissions_that_were_not_set_are_no_success() -> None:
    with pytest.raises(BadAnswer, match="permissions"):
        against(saying(permissions="rwxrwxrwx"), set_permissions)


def test_reading_permissions_sends_the_path_alone() -> None:
    now, asked = against(saying(permissions="r--r--r--", owner=..., group=""), read_permissions)
    assert now == Permissions("r--r--r--")
    assert fields(asked[-1]) == {"file_path": "tenant/file"}


def test_what_is_told_of_a_file_is_taken() -> None:
    state, _ = against(
        saying(
            saved_at="2026-01-02T03:04:05+01:00",
            metadata={"a": "b", "n": 1},
            file_type="text/plain",
            permissions="rw-r--r--",
            owner="alice",
        ),
        get,
    )
    assert state.saved_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert state.metadata == {"a": "b", "n": "1"}
    assert (state.content_type, state.permissions) == ("text/plain", Permissions("rw-r--r--", "alice"))


@pytest.mark.parametrize("told", ["yesterday", 17, None])
def test_a_time_that_cannot_be_read_is_unknown(told: object) -> None:
    state, _ = against(saying(saved_at=told, metadata="none"), get)
    assert (state.saved_at, state.metadata) == (None, {})


def test_a_digest_counts_only_where_it_is_declared() -> None:
    digest = {"content_md5": "9A0364B9E99BB480DD25E1F0284C8555"}
    state, _ = against(saying(200, **digest), put)
    assert state.fingerprint is None
    state, _ = against(saying(200, **digest), put, capabilities={"content_hash": True})
    assert state.fingerprint is not None
    assert (state.fingerprint.kind, state.fingerprint.value) == ("md5", "9a0364b9e99bb480dd25e1f0284c8555")


def test_a_digest_of_other_content_acknowledges_nothing() -> None:
    with pytest.raises(BadAnswer, match="MD5"):
        against(saying(content_md5="0" * 32), put, capabilities={"content_hash": True})


# --- listing ------------------------------------------------------------------------------------


async def listed(manager: HttpApiFileManager) -> list[str]:
    return [state.path async for state in manager.list()]


def a_page(*paths: str, following: object = None) -> Reply:
    files = [{"file_path": path, "internal_id": f"id of {path}", "size": 1} for path in paths]
    return Reply(body=json.dumps({"files": files, "next": following}).encode())


def test_pages_follow_each_other() -> None:
    pages = {"": a_page("tenant/a", "tenant/b&=/ü", following="tenant/b&=/ü"), "more": a_page("tenant/c")}
    found, asked = against(
        lambda asked: pages["more" if "after=" in asked.target else ""], listed, capabilities={"list": True}
    )
    assert found == ["a", "b&=/ü", "c"]
    assert [each.target for each in asked[1:]] == [
        "/files?prefix=tenant%2F&limit=1000",
        "/files?prefix=tenant%2F&limit=1000&after=tenant%2Fb%26%3D%2F%C3%BC",
    ]


@pytest.mark.parametrize(
    "page",
    [
        a_page("tenant/a", following="tenant/a"),
        a_page("tenant2/a"),
        a_page("a"),
        a_page(following="x"),
        a_page("tenant/a", following=7),
        Reply(body=b'{"files": {}}'),
        Reply(body=b'{"files": [7]}'),
        Reply(body=b'{"files": [{"file_path": "tenant/a"}]}'),
        Reply(body=b"[]"),
    ],
)
def test_a_listing_that_makes_no_sense_is_an_error_and_not_the_end(page: Reply) -> None:
    with pytest.raises(BadAnswer):
        against(answering(page), listed, capabilities={"list": True})


def test_a_listing_that_fails_later_is_an_error() -> None:
    def script(asked: Any) -> Reply:
        return Reply(503) if "after" in asked.target else a_page("tenant/a", following="tenant/a")

    with pytest.raises(Unavailable):
        against(script, listed, capabilities={"list": True})
