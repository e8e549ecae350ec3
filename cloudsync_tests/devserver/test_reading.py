"""Listing and reading back, which the file-manager API itself does not have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_tests.devserver.client import connection, download, save, send

PATHS = ["a", "a/b", "a/c", "ab", "b", "é", "\uffff", "\U0001f600"]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with running(tmp_path_factory.mktemp("listed")) as server:
        for path in PATHS:
            save(server, "create", path, b"0123456789")
        yield server


def test_files_are_listed_in_byte_order(listed: DevServer) -> None:
    assert list(listed.files()) == sorted(PATHS, key=str.encode)


def test_a_listing_goes_on_where_the_page_before_ended(listed: DevServer) -> None:
    seen, after = [], ""
    while True:
        page = listed.call("GET", f"/files?limit=3{after}")
        assert len(page["files"]) <= 3
        seen += [file["file_path"] for file in page["files"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"
    assert seen == sorted(PATHS, key=str.encode)


def test_a_full_last_page_has_no_next(listed: DevServer) -> None:
    assert listed.call("GET", f"/files?limit={len(PATHS)}")["next"] is None


@pytest.mark.parametrize(
    ("prefix", "found"), [("a", ["a", "a/b", "a/c", "ab"]), ("a/", ["a/b", "a/c"]), ("zz", []), ("\uffff", ["\uffff"])]
)
def test_a_prefix_limits_the_listing(listed: DevServer, prefix: str, found: list[str]) -> None:
    assert list(listed.files(prefix)) == found


def test_a_prefixed_listing_goes_on_after_a_path(listed: DevServer) -> None:
    page = listed.call("GET", "/files?prefix=a/&after=a/b")
    assert [file["file_path"] for file in page["files"]] == ["a/c"]


def test_a_listed_file_says_what_get_says(listed: DevServer) -> None:
    assert listed.files("b")["b"] == save(listed, "get", "b").json


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-3", 0, 4), ("bytes=4-", 4, 10), ("bytes=-3", 7, 10), ("bytes=8-99", 8, 10), ("bytes=-99", 0, 10)],
)
def test_a_range_gives_these_bytes(listed: DevServer, asked: str, start: int, end: int) -> None:
    reply = download(listed, "a", Range=asked)
    assert reply.body == b"0123456789"[start:end]
    assert reply.headers["content-length"] == str(end - start)
    if end - start < 10:
        assert reply.status == 206
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/10"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_beyond_the_end_cannot_be_satisfied(listed: DevServer, asked: str) -> None:
    reply = download(listed, "a", Range=asked)
    assert (reply.status, reply.code) == (416, "range_not_satisfiable")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=" + "9" * 5000 + "-", "lines=1-2", "bytes=0-1,3-4", "bytes=-"])
def test_a_range_that_is_not_understood_gives_the_whole_file(listed: DevServer, asked: str) -> None:
    reply = download(listed, "a", Range=asked)
    assert (reply.status, reply.body) == (200, b"0123456789")


def test_the_etag_is_the_md5_and_guards_a_read(listed: DevServer) -> None:
    etag = download(listed, "a").headers["etag"]
    assert etag == f'"{hashlib.md5(b"0123456789").hexdigest()}"'
    assert download(listed, "a", If_Match=etag).status == 200
    assert download(listed, "a", If_Match='"another"').code == "precondition_failed"


def test_head_tells_the_size_and_gives_no_content(listed: DevServer) -> None:
    reply = send(listed, "HEAD", "/files/content?file_path=a")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "10", b"")


def test_content_is_never_shown_as_a_page(listed: DevServer) -> None:
    headers = download(listed, "a").headers
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"


def test_content_of_no_path_or_of_a_missing_one(listed: DevServer) -> None:
    assert send(listed, "GET", "/files/content").code == "missing_field"
    assert download(listed, "missing").code == "not_found"


def test_a_download_goes_on_while_its_file_is_replaced(own_server: DevServer) -> None:
    old = b"o" * 8_000_000
    save(own_server, "create", "replaced", old)
    line = connection(own_server)
    line.request("GET", "/files/content?file_path=replaced")
    answer = line.getresponse()
    begun = answer.read(1000)

    save(own_server, "update", "replaced", b"new")

    assert begun + answer.read() == old
    line.close()
    assert own_server.content("replaced") == b"new"
