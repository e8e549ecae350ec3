"""The client that storages are read with: what it sends, and what it makes of an answer."""

from __future__ import annotations

import asyncio
import gzip
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import BadAnswer, ConfigError
from cloudsync_pipeline.transport.fetching import Fetcher
from cloudsync_pipeline.transport.incoming import ROOM, request
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.scripted import Asked, Reply, Script, in_turn, scripted
from cloudsync_tests.transport.raw_server import (
    DIRECT,
    LIMIT,
    Raw,
    content_of,
    in_steps,
    plain,
    using,
)


def asked_of(script: Script, path: str = "/", how: HttpSettings = DIRECT, **headers: str) -> tuple[Asked, int, bytes]:
    async def main() -> tuple[Asked, int, bytes]:
        async with (
            scripted(script) as server,
            Fetcher(how, who="the server") as fetcher,
            fetcher.fetch("GET", server.url + path, headers) as answer,
        ):
            return server.asked[0], answer.status, await answer.content(LIMIT)

    return asyncio.run(main())


class TestRequests:
    """What is sent."""

    @pytest.mark.parametrize(
        "path", ["/a/../b", "/a/./b", "/a//b", "//a", "/a%2Fb", "/..", "/%2E%2E/x", "/a+b%20c", "/?a=%2B&b=%20"]
    )
    def test_a_path_travels_as_it_is(self, path: str) -> None:
        assert asked_of(in_turn(Reply()), path)[0].target == path

    def test_an_address_without_a_path_asks_for_the_root(self) -> None:
        assert asked_of(in_turn(Reply()), "")[0].target == "/"

    def test_headers_are_sent_and_the_callers_count_most(self) -> None:
        how = HttpSettings(trust_env=False, headers={"X-Tenant": "one", "X-Own": "configured"})

        asked, _, _ = asked_of(in_turn(Reply()), "/", how, **{"X-Own": "given"})

        assert (asked.headers["x-tenant"], asked.headers["x-own"]) == ("one", "given")
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["host"].startswith("127.0.0.1:")

    def test_a_header_cannot_smuggle_another(self) -> None:
        with pytest.raises(ValueError, match="end of line"):
            request("GET", "/", {"X": "1\r\nY: 2"})

    @pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "127.0.0.1", "/path", "http://user:pass@127.0.0.1/"])
    def test_an_address_that_cannot_be_used_is_a_mistake_in_the_configuration(self, address: str) -> None:
        async def main() -> None:
            async with Fetcher(DIRECT, who="the server") as fetcher, fetcher.fetch("GET", address):
                pass

        with pytest.raises(ConfigError) as caught:
            asyncio.run(main())
        assert "pass" not in str(caught.value)


class TestAnswers:
    """What becomes of an answer."""

    def test_content_is_never_decompressed(self) -> None:
        packed = gzip.compress(b"content")

        _, _, body = asked_of(in_turn(Reply(headers={"Content-Encoding": "gzip"}, body=packed)))

        assert body == packed

    def test_a_redirect_is_an_answer_and_not_followed(self) -> None:
        assert asked_of(in_turn(Reply(302, {"Location": "/elsewhere"}), Reply(200)))[1] == 302

    def test_names_of_headers_have_any_case_and_the_first_counts(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> tuple[Any, ...]:
            async with fetcher.fetch("GET", url) as answer:
                found = answer.headers
                return found.get("etag"), found["X-TWICE"], "x-Twice" in found, "x-none" in found, found.get("x", "y")

        raw = Raw([plain(b"", 'ETag: "é"', "X-Twice: 1", "x-twice: 2")])
        assert using(raw, use) == ('"é"', "1", True, False, "y")

    def test_space_around_a_value_does_not_belong_to_it(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[Any]:
            async with fetcher.fetch("GET", url) as answer:
                return [answer.headers["etag"], answer.headers["content-length"], await answer.content(LIMIT)]

        head = b"HTTP/1.1 200 OK\r\nETag:  abc \t\r\nContent-Length: 3 \r\n\r\none"
        assert using(Raw([head]), use) == ["abc", "3", b"one"]

    @pytest.mark.parametrize(
        ("method", "head"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("HEAD", b"HTTP/1.1 404 Not Found\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ],
    )
    def test_an_answer_without_a_body_ends_with_its_head(self, method: str, head: bytes) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            return [await content_of(fetcher, url, method), await content_of(fetcher, url)]

        raw = Raw([head], [plain(b"next")])
        assert using(raw, use) == [b"", b"next"]
        assert raw.connections == 1

    def test_interim_answers_are_passed_over(self) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: 1\r\n\r\n"

        async def use(fetcher: Fetcher, url: str) -> tuple[int, Any, bytes]:
            async with fetcher.fetch("GET", url) as answer:
                return answer.status, answer.headers.get("x-early"), await answer.content(LIMIT)

        for segments in ([early + early + plain(b"body")], [early, b"HTTP/1.1 100 Continue\r\n\r\n", plain(b"body")]):
            assert using(Raw(segments), use) == (200, None, b"body")

    def test_an_answer_of_unknown_length_ends_with_its_connection(self) -> None:
        raw = Raw([b"HTTP/1.0 200 OK\r\n\r\nfirst ", b"second", None])

        assert using(raw, content_of) == b"first second"

    def test_a_chunked_answer_is_put_together_and_its_trailer_is_no_header(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"5;name=value\r\nhello\r\n1\r\n \r\n0\r\nETag: late\r\n\r\n"

        async def use(fetcher: Fetcher, url: str) -> list[Any]:
            async with fetcher.fetch("GET", url) as answer:
                found = [await answer.content(LIMIT), answer.headers.get("etag"), answer.length]
            return [*found, await content_of(fetcher, url)]

        raw = Raw([head + body], [plain(b"next")])
        assert using(raw, use) == [b"hello ", None, None, b"next"]
        assert raw.connections == 1

    @pytest.mark.parametrize("ending", [b"5\r\nhel", b"5\r\nhello\r\n", b""])
    def test_a_chunked_answer_that_ends_early_is_told(self, ending: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

        with pytest.raises(BadAnswer, match="ended before"):
            using(Raw([head + b"1\r\nx\r\n" + ending, None]), content_of)

    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * ROOM,
            b"220 mail.example ESMTP\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
            b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ],
    )
    def test_what_cannot_be_trusted_is_no_answer(self, raw: bytes) -> None:
        with pytest.raises(BadAnswer, match="not HTTP"):
            using(Raw([raw]), content_of)

    def test_a_chunk_that_cannot_be_read_is_told(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"

        with pytest.raises(BadAnswer):
            using(Raw([head, b"zz\r\n"]), content_of)

    @pytest.mark.parametrize("announced", [True, False])
    def test_an_answer_longer_than_the_limit_is_refused(self, announced: bool) -> None:
        body = b"x" * 11
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + body + b"\r\n0\r\n\r\n"

        async def use(fetcher: Fetcher, url: str) -> None:
            async with fetcher.fetch("GET", url) as answer:
                await answer.content(10)

        with pytest.raises(BadAnswer, match="longer than 10 bytes"):
            using(Raw([plain(body) if announced else chunked]), use)

    def test_a_buffer_that_is_full_is_handed_out_though_the_end_of_the_body_keeps_waiting(self) -> None:
        body = b"x" * (2 * ROOM)
        head = plain(body)[: -len(body)]

        async def use(fetcher: Fetcher, url: str) -> int:
            async with fetcher.fetch("GET", url) as answer:
                return await answer.read_into(memoryview(bytearray(len(body) - 1_000)))

        # The last thousand bytes never come.
        assert using(Raw([head + body[:-1_000]]), use) == len(body) - 1_000

    def test_an_ended_answer_is_not_read_on(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> None:
            async with fetcher.fetch("GET", url) as answer:
                pass
            await answer.read_into(memoryview(bytearray(1)))

        with pytest.raises(ValueError, match="ended"):
            using(Raw([plain(b"x")]), use)

    @given(
        body=st.one_of(
            st.binary(max_size=200),
            st.integers(ROOM - 300, ROOM + 300).map(lambda n: bytes(range(256)) * (n // 256 + 1)),
        ),
        cuts=st.lists(st.integers(0, 400), max_size=6),
        sizes=st.lists(st.integers(1, 50_000), min_size=1, max_size=4),
        form=st.sampled_from(["length", "chunked", "end"]),
    )
    @settings(max_examples=60, deadline=None)
    def test_however_it_arrives_and_is_read_the_body_is_the_same(
        self, body: bytes, cuts: list[int], sizes: list[int], form: str
    ) -> None:
        if form == "length":
            sent = plain(body)
        elif form == "end":
            sent = b"HTTP/1.1 200 OK\r\n\r\n" + body
        else:
            half = len(body) // 2
            parts = (part for part in (body[:half], body[half:]) if part)
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        places = sorted({0, *(cut for cut in cuts if cut < len(sent)), len(sent)})
        segments: list[bytes | None] = [sent[a:b] for a, b in pairwise(places)]

        async def use(fetcher: Fetcher, url: str) -> bytes:
            async with fetcher.fetch("GET", url) as answer:
                return await in_steps(answer, sizes)

        assert using(Raw([*segments, None] if form == "end" else segments), use) == body
