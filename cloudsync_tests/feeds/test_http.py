"""The HTTP feed beyond the contract: whose entries, which address, which answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, CloudSyncError, ConfigError, Rejected, TlsFailed, Unreachable
from cloudsync_pipeline.core.events import FeedPage
from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_pipeline.feeds.http import HttpFeed
from cloudsync_pipeline.transport.auth import BasicAuth, BearerAuth, HeaderAuth
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.feeds.harnesses import SETTINGS, TOKEN
from cloudsync_tests.feeds.strange_server import StrangeServer


def receive(url: str, limit: int = 100, **options: Any) -> FeedPage:
    async def scenario() -> FeedPage:
        async with HttpFeed(url, **({"settings": SETTINGS} | options)) as feed:
            return await feed.receive(limit=limit)

    return asyncio.run(scenario())


def failure(url: str, **options: Any) -> CloudSyncError:
    with pytest.raises(CloudSyncError) as caught:
        receive(url, **options)
    return caught.value


def published(server: DevServer, *paths: str) -> None:
    server.call("DELETE", "/admin/events")
    server.publish(*({"event_type": "create", "file_path": path} for path in paths))


# --- whose entries ------------------------------------------------------------------------------


def test_a_shared_feed_gives_each_integration_its_own(server: DevServer) -> None:
    published(server, "/acme/a", "/umbrella/b", "acme/c")
    auth = BearerAuth(TOKEN)

    acme = receive(server.url, auth=auth, destination_prefix="acme")
    umbrella = receive(server.url, auth=auth, destination_prefix="umbrella")

    assert [event.key for event in acme.events] == ["a", "c"]
    assert [event.key for event in umbrella.events] == ["b"]
    assert (acme.received, umbrella.received) == (3, 3)
    assert acme.others == tuple(event.identity for event in umbrella.events)


def test_a_page_full_of_anothers_entries_is_full(server: DevServer) -> None:
    published(server, "/umbrella/a", "/umbrella/b")
    page = receive(server.url, limit=2, auth=BearerAuth(TOKEN), destination_prefix="acme")
    assert (page.events, len(page.others), page.full) == ((), 2, True)


def test_paths_without_the_prefix_are_taken_where_that_is_configured(server: DevServer) -> None:
    published(server, "/acme/a", "/umbrella/b")
    page = receive(server.url, auth=BearerAuth(TOKEN), destination_prefix="acme", prefixed=False)
    assert [event.key for event in page.events] == ["acme/a", "umbrella/b"]


# --- which address ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/"])
def test_the_list_stands_below_the_base_address(strange_server: StrangeServer, path: str) -> None:
    strange_server.answers(200, b'{"events": []}')
    receive(strange_server.url + path, limit=7)
    assert strange_server.asked[-1] == path.rstrip("/") + "/pubSubFullList?count=7"


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (1, 1), (100, 100), (10_000, 100)])
def test_it_asks_for_1_to_100_entries(strange_server: StrangeServer, limit: int, count: int) -> None:
    strange_server.answers(200, b'{"events": []}')
    receive(strange_server.url, limit=limit)
    assert strange_server.asked[-1].endswith(f"?count={count}")


def test_another_address_or_prefix_is_another_feed() -> None:
    feeds = [
        HttpFeed("http://one.example"),
        HttpFeed("http://one.example/"),
        HttpFeed("http://two.example"),
        HttpFeed("http://one.example", destination_prefix="acme"),
    ]
    assert feeds[0].identity == feeds[1].identity
    assert len({json.dumps(dict(feed.identity)) for feed in feeds}) == 3


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    error = failure("http://ann:hunter2@127.0.0.1:9")
    assert isinstance(error, ConfigError)
    assert "hunter2" not in str(error) + repr(HttpFeed("http://ann:hunter2@127.0.0.1:9"))


# --- logins -------------------------------------------------------------------------------------


def test_basic_credentials_and_a_header_of_its_own_are_sent(tmp_path: Path) -> None:
    with running(tmp_path, basic=("ann", "pass"), header=("X-Api-Key", "k3y"), fsync=False) as server:
        assert receive(server.url, auth=BasicAuth("ann", "pass")).received == 0
        assert receive(server.url, auth=HeaderAuth("X-Api-Key", "k3y")).received == 0


def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    own_certificate, own_key = authority.issue("client")
    with running(
        tmp_path / "root", tls_cert=certificate, tls_key=key, client_ca=authority.certificate, fsync=False
    ) as server:
        known = HttpSettings(
            ca_file=str(authority.certificate),
            client_cert_file=str(own_certificate),
            client_key_file=str(own_key),
            trust_env=False,
        )
        assert receive(server.url, settings=known).received == 0
        assert isinstance(failure(server.url, settings=HttpSettings(trust_env=False)), TlsFailed)


# --- which answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"events": null}',
        b'{"events": {"a": 1}}',
        b'{"events": []} and more',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_an_answer_of_another_shape_is_a_bad_answer(strange_server: StrangeServer, body: bytes) -> None:
    strange_server.answers(200, body)
    assert isinstance(failure(strange_server.url), BadAnswer)


def test_an_answer_that_ends_early_is_a_bad_answer(strange_server: StrangeServer) -> None:
    strange_server.answers(200, b'{"events": []}', {"Content-Length": "1000"}, stall_after=14)
    strange_server.release.set()
    try:
        assert isinstance(failure(strange_server.url), BadAnswer)
    finally:
        strange_server.release.clear()


def test_an_answer_without_end_is_a_bad_answer(strange_server: StrangeServer) -> None:
    strange_server.answers(200, b'{"events": ["' + b"x" * (17 * 1024 * 1024) + b'"]}')
    assert isinstance(failure(strange_server.url), BadAnswer)


def test_an_answer_that_stalls_is_unreachable(strange_server: StrangeServer) -> None:
    strange_server.answers(200, b'{"events": []}', stall_after=5)
    error = failure(strange_server.url, timeout=0.2)
    strange_server.release.set()
    strange_server.release.clear()
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_a_server_without_such_a_list_is_no_reason_to_try_again(strange_server: StrangeServer, status: int) -> None:
    strange_server.answers(status, b"{}")
    error = failure(strange_server.url)
    assert isinstance(error, Rejected)
    assert not error.retryable


def test_the_wait_that_a_server_asks_for_is_passed_on(strange_server: StrangeServer) -> None:
    strange_server.answers(503, b"", {"Retry-After": "7"})
    assert failure(strange_server.url).retry_after == 7


def test_numbers_that_are_no_json_spoil_only_their_own_entry(strange_server: StrangeServer) -> None:
    strange_server.answers(200, b'{"events": [NaN, {"event_type": "create", "file_path": "a", "timestamp": NaN}]}')
    page = receive(strange_server.url)
    assert ([event.key for event in page.events], len(page.malformed)) == (["a"], 1)


@pytest.mark.parametrize("depth", range(700, 1000, 10))
def test_a_deeply_nested_entry_spoils_at_most_itself(strange_server: StrangeServer, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    strange_server.answers(200, b'{"events": [{"file_path": "a", "metadata": ' + nested + b"}]}")
    try:
        assert len(receive(strange_server.url).malformed) == 1
    except BadAnswer:
        assert depth > 800


def test_a_list_that_gives_more_than_was_asked_for_is_taken_whole(strange_server: StrangeServer) -> None:
    strange_server.answers(
        200, json.dumps({"events": [{"event_type": "create", "file_path": f"f{n}"} for n in range(5)]}).encode()
    )
    page = receive(strange_server.url, limit=2)
    assert (len(page.events), page.full) == (5, True)
