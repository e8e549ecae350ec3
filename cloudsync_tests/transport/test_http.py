"""What the client sends, and what of an answer it leaves alone."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from cloudsync_pipeline.core.errors import BadAnswer, ConfigError, ContentMismatch, Unreachable
from cloudsync_pipeline.transport.auth import BearerAuth
from cloudsync_pipeline.transport.http import HttpClient, read_limited
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.scripted import Asked, Reply, Script, Then, in_turn, scripted

DIRECT = HttpSettings(trust_env=False)


def asked_of(
    script: Script, path: str = "/", *, method: str = "GET", settings: HttpSettings = DIRECT, **kw: Any
) -> tuple[list[Asked], int, bytes]:
    """One request to a scripted server: what it saw, and the answer's status and body."""
    auth = kw.pop("auth", None)

    async def main() -> tuple[list[Asked], int, bytes]:
        async with scripted(script) as server, HttpClient(settings, who="the server", auth=auth) as client:
            url = URL(server.url + path, encoded=True)
            async with client.request(method, url, **kw) as response:
                return server.asked, response.status, await response.read()

    return asyncio.run(main())


@pytest.mark.parametrize(
    "path", ["/a/../b", "/a/./b", "/a//b", "//a", "/a%2Fb", "/a%2fb", "/..", "/%2E%2E/x", "/a+b%20c", "/?a=%2B&b=%20"]
)
def test_an_encoded_url_travels_as_it_is(path: str) -> None:
    (asked,), _, _ = asked_of(in_turn(Reply()), path)

    assert asked.target == path


def test_content_is_asked_for_as_it_is_stored() -> None:
    (asked,), _, _ = asked_of(in_turn(Reply()))

    assert asked.headers["accept-encoding"] == "identity"


def test_content_is_never_decompressed() -> None:
    packed = gzip.compress(b"content")

    _, _, body = asked_of(in_turn(Reply(headers={"Content-Encoding": "gzip"}, body=packed)))

    assert body == packed


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    asked, status, _ = asked_of(in_turn(Reply(302, {"Location": "/elsewhere"}), Reply(200)))

    assert (len(asked), status) == (1, 302)


def test_authentication_and_configured_headers_are_sent() -> None:
    settings = HttpSettings(trust_env=False, headers={"X-Tenant": "one"})

    (asked,), _, _ = asked_of(in_turn(Reply()), settings=settings, auth=BearerAuth("token-1"), headers={"X-Own": "2"})

    assert asked.headers["authorization"] == "Bearer token-1"
    assert (asked.headers["x-tenant"], asked.headers["x-own"]) == ("one", "2")


def test_a_netrc_entry_does_not_come_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))

    (asked,), _, _ = asked_of(in_turn(Reply()), settings=HttpSettings(), auth=BearerAuth("token-1"))

    assert asked.headers["authorization"] == "Bearer token-1"


def test_cookies_are_not_kept() -> None:
    async def main() -> list[Asked]:
        async with (
            scripted(in_turn(Reply(headers={"Set-Cookie": "session=1"}))) as server,
            HttpClient(DIRECT, who="x") as client,
        ):
            for _ in range(2):
                async with client.request("GET", URL(server.url)) as response:
                    await response.read()
            return server.asked

    assert all("cookie" not in asked.headers for asked in asyncio.run(main()))


def test_an_upload_streams_its_chunks() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    (asked,), _, _ = asked_of(in_turn(Reply()), method="POST", data=chunks())

    assert asked.body == b"one two"


def test_an_error_of_ours_in_an_upload_comes_out_as_it_is() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise ContentMismatch("the hash differs", key="k")

    with pytest.raises(ContentMismatch, match="the hash differs"):
        asked_of(in_turn(Reply()), method="POST", data=chunks())


def test_the_next_request_is_not_disturbed_by_an_answer_left_unread() -> None:
    async def main() -> bytes:
        replies = in_turn(Reply(body=b"x" * 3_000_000), Reply(body=b"second"))
        async with scripted(replies) as server, HttpClient(DIRECT, who="x") as client:
            async with client.request("GET", URL(server.url)):
                pass
            async with client.request("GET", URL(server.url)) as response:
                return await response.read()

    assert asyncio.run(main()) == b"second"


def test_a_total_timeout_ends_a_slow_answer() -> None:
    with pytest.raises(Unreachable, match="silent"):
        asked_of(in_turn(Reply(announced=10, then=Then.STALL)), total_timeout=0.1)


def test_an_answer_longer_than_the_limit_is_refused() -> None:
    async def main() -> None:
        async with (
            scripted(in_turn(Reply(body=b"x" * 11))) as server,
            HttpClient(DIRECT, who="x") as client,
            client.request("GET", URL(server.url)) as response,
        ):
            await read_limited(response, 10)

    with pytest.raises(BadAnswer, match="longer than 10 bytes"):
        asyncio.run(main())


def test_pieces_translate_their_own_errors() -> None:
    async def main() -> list[str]:
        caught = []
        replies = in_turn(Reply(body=b"x" * 5, announced=10, then=Then.CLOSE))
        async with (
            scripted(replies) as server,
            HttpClient(DIRECT, who="x") as client,
            client.request("GET", URL(server.url)) as response,
        ):
            try:
                async for _ in client.pieces(response, largest=100, key="k"):
                    pass
            except BadAnswer as error:
                caught.append(error.key or "")
        return caught

    assert asyncio.run(main()) == ["k"]


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "127.0.0.1", "/path", "http://user:pass@127.0.0.1/"])
def test_an_address_that_cannot_be_used_is_a_mistake_in_the_configuration(address: str) -> None:
    async def main() -> None:
        async with HttpClient(DIRECT, who="the server") as client, client.request("GET", URL(address)):
            pass

    with pytest.raises(ConfigError) as caught:
        asyncio.run(main())
    assert "pass" not in str(caught.value)


def test_it_can_be_closed_twice_and_unused() -> None:
    async def main() -> None:
        client = HttpClient(DIRECT, who="the server")
        await client.close()
        await client.close()

    asyncio.run(main())
