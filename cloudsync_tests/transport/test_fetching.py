"""The client that storages are read with: what it sends, what it makes of an answer, how it uses connections."""

from __future__ import annotations

import asyncio
import gc
import gzip
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import AccessDenied, BadAnswer, ConfigError, TlsFailed, Unreachable
from cloudsync_pipeline.transport import fetching
from cloudsync_pipeline.transport.fetching import Answer, Fetcher
from cloudsync_pipeline.transport.incoming import ROOM, request
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.wire import Wire
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.scripted import Asked, Reply, Script, Then, in_turn, scripted

DIRECT = HttpSettings(trust_env=False, read_timeout=20)
LIMIT = 2**24


class Raw:
    """A server that answers each request with the next list of segments, each sent alone; None closes."""

    def __init__(self, *answers: Sequence[bytes | None]) -> None:
        self._answers = list(answers)
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.requests: list[bytes] = []
        self.url = ""
        self.serving: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.serving[asyncio.current_task()] = writer
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                for segment in self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]:
                    if segment is None:
                        return
                    writer.write(segment)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            del self.serving[asyncio.current_task()]
            writer.close()


@asynccontextmanager
async def serving(raw: Raw, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=tls)
    raw.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield raw
        finally:
            # Aborted, not cancelled: asyncio's streams log a cancelled handler as an error.
            tasks = [task for task in raw.serving if task is not None]
            for writer in raw.serving.values():
                writer.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)


def using(raw: Raw, use: Callable[[Fetcher, str], Awaitable[Any]], how: HttpSettings = DIRECT) -> Any:
    async def main() -> Any:
        async with serving(raw), Fetcher(how, who="the server") as fetcher:
            return await use(fetcher, raw.url)

    return asyncio.run(main())


async def content_of(fetcher: Fetcher, url: str, method: str = "GET") -> bytes:
    async with fetcher.fetch(method, url) as answer:
        return await answer.content(LIMIT)


def plain(body: bytes, *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


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


async def in_steps(answer: Answer, sizes: list[int]) -> bytes:
    """The body, read into buffers of these sizes in turn."""
    found = b""
    for number in range(10**6):
        room = bytearray(sizes[number % len(sizes)])
        came = await answer.read_into(memoryview(room))
        found += room[:came]
        if came < len(room):
            return found
    raise AssertionError("the body does not end")


class TestConnections:
    """How connections are used."""

    def test_one_serves_request_after_request(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[int]:
            return [len(await content_of(fetcher, url)) for _ in range(5)]

        raw = Raw(*([plain(b"x" * size)] for size in (0, 10, 3 * ROOM, 1, 5)))
        assert using(raw, use) == [0, 10, 3 * ROOM, 1, 5]
        assert raw.connections == 1

    @pytest.mark.parametrize("size", [100, 3_000_000])
    def test_an_answer_left_unread_does_not_disturb_the_next(self, size: int) -> None:
        async def use(fetcher: Fetcher, url: str) -> bytes:
            async with fetcher.fetch("GET", url):
                pass
            return await content_of(fetcher, url)

        assert using(Raw([plain(b"x" * size)], [plain(b"second")]), use) == b"second"

    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("wait", [0.0, 0.05])
    @pytest.mark.parametrize(
        "first",
        [
            [plain(b"one") + b"excess"],
            [plain(b"one"), b"E" * 90_000],
            [plain(b"one")[:-3], b"one" + plain(b"other")],
            [plain(b"one") + plain(b"other")],
            [plain(b"one", "Connection: close")],
            [plain(b"one", "Connection: x", "Connection: close")],
            [b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none"],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n" + plain(b"other")],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", b"junk"],
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\njunk"],
        ],
    )
    def test_one_that_gave_more_than_was_asked_or_will_close_is_not_used_again(
        self, tmp_path: Path, first: list[bytes], wait: float, tls: bool
    ) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            async with fetcher.fetch("GET", url) as answer:
                await asyncio.sleep(wait)
                found = [await answer.content(LIMIT)]
            await asyncio.sleep(wait)
            return [*found, await content_of(fetcher, url)]

        raw = Raw(first, [plain(b"second")])
        assert (using_tls(tmp_path, raw, use) if tls else using(raw, use)) == [b"one", b"second"]

    def test_more_than_was_asked_is_seen_without_a_turn_of_the_loop(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            async with fetcher.fetch("GET", url) as answer:
                room = bytearray(200_000)
                await answer.read_into(memoryview(room))
                await asyncio.sleep(0.05)
            return [bytes(room[:1]), await content_of(fetcher, url)]

        raw = Raw([plain(b"x" * 200_000) + plain(b"other")], [plain(b"second")])
        assert using(raw, use) == [b"x", b"second"]

    def test_one_that_was_closed_while_idle_is_replaced_unnoticed(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            return [await content_of(fetcher, url) for _ in range(2)]

        # The second request meets a server that closes in place of an answer.
        raw = Raw([plain(b"first")], [None], [plain(b"second")])
        assert using(raw, use) == [b"first", b"second"]
        assert (raw.connections, len(raw.requests)) == (2, 3)

    def test_a_new_one_that_gives_no_answer_is_not_tried_again(self) -> None:
        raw = Raw([None])

        with pytest.raises(Unreachable, match="without an answer"):
            using(raw, content_of)
        assert raw.connections == 1

    def test_an_answer_that_began_is_not_asked_for_again(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> None:
            await content_of(fetcher, url)
            await content_of(fetcher, url)

        raw = Raw([plain(b"first")], [b"HTTP/1.1 200", None], [plain(b"second")])
        with pytest.raises(Unreachable, match="without an answer"):
            using(raw, use)
        assert len(raw.requests) == 2

    def test_one_that_was_idle_for_long_is_not_used_again(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            loop = asyncio.get_running_loop()
            first = await content_of(fetcher, url)
            now = loop.time
            loop.time = lambda: now() + 16  # type: ignore[method-assign]
            return [first, await content_of(fetcher, url)]

        raw = Raw([plain(b"first")], [plain(b"second")])
        assert using(raw, use) == [b"first", b"second"]
        assert raw.connections == 2

    def test_there_are_never_more_than_the_limit(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            return await asyncio.gather(*(content_of(fetcher, url) for _ in range(30)))

        raw = Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"bo", b"dy"])
        how = HttpSettings(trust_env=False, max_connections=3)
        assert using(raw, use, how) == [b"body"] * 30
        assert raw.most_open <= 3

    @pytest.mark.parametrize("when", ["head", "body"])
    def test_who_is_cancelled_gives_the_place_free(self, when: str) -> None:
        announced = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

        async def use(fetcher: Fetcher, url: str) -> bytes:
            task = asyncio.create_task(content_of(fetcher, url))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await content_of(fetcher, url)

        raw = Raw([b""] if when == "head" else [announced], [plain(b"second")])
        assert using(raw, use, HttpSettings(trust_env=False, max_connections=1)) == b"second"
        assert raw.connections == 2

    def test_a_failure_gives_the_place_free(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> bytes:
            for _ in range(3):
                with pytest.raises(BadAnswer):
                    await content_of(fetcher, url)
            return await content_of(fetcher, url)

        raw = Raw([b"nonsense"], [b"nonsense"], [plain(b"x")[:-1], None], [plain(b"well")])
        assert using(raw, use, HttpSettings(trust_env=False, max_connections=1)) == b"well"

    def test_a_reader_who_takes_his_time_is_not_silence(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> int:
            async with fetcher.fetch("GET", url) as answer:
                await asyncio.sleep(0.6)
                return len(await answer.content(LIMIT))

        how = HttpSettings(trust_env=False, read_timeout=0.3)
        assert using(Raw([plain(b"x" * 1_000_000)]), use, how) == 1_000_000

    def test_a_connection_that_does_not_come_about_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def never(*_: Any, **__: Any) -> None:
            await asyncio.sleep(60)

        async def main() -> None:
            monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
            async with Fetcher(HttpSettings(trust_env=False, connect_timeout=0.05), who="the server") as fetcher:
                await content_of(fetcher, "http://127.0.0.1:1/")

        with pytest.raises(Unreachable, match="within the connect timeout"):
            asyncio.run(main())

    def test_idle_ones_are_closed_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetching, "_KEPT_SECONDS", 0.05)

        async def main() -> None:
            raw = Raw([plain(b"x")])
            async with serving(raw), Fetcher(DIRECT, who="the server") as fetcher:
                await asyncio.gather(*(content_of(fetcher, raw.url) for _ in range(4)))
                assert raw.open == 4
                for _ in range(200):
                    await asyncio.sleep(0.02)
                    if raw.open == 0:
                        return
                raise AssertionError(f"{raw.open} are still open")

        asyncio.run(main())

    @pytest.mark.parametrize(
        "answer",
        [
            [plain(b"x", "Connection: close")],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
            [b"HTTP/1.1 200 OK\r\n\r\nx", None],
            [plain(b"xyz")[:-1], None],
            [b"nonsense"],
            [None],
        ],
    )
    def test_nothing_of_one_that_is_gone_stays_in_memory(self, answer: list[bytes | None]) -> None:
        async def use(fetcher: Fetcher, url: str) -> list[int]:
            for _ in range(5):
                with suppress(BadAnswer, Unreachable):
                    await content_of(fetcher, url)
                await asyncio.sleep(0.01)
            return [id(each) for each in gc.get_objects() if isinstance(each, Wire)]

        gc.collect()
        gc.disable()
        try:
            assert using(Raw(answer), use) == []
        finally:
            gc.enable()

    @pytest.mark.parametrize("kept", [False, True])
    def test_a_request_that_waits_when_all_is_closed_is_not_sent_again(self, kept: bool) -> None:
        async def use(fetcher: Fetcher, url: str) -> int:
            if kept:
                await content_of(fetcher, url)
            waiting = asyncio.create_task(content_of(fetcher, url))
            await asyncio.sleep(0.1)
            await fetcher.close()
            with pytest.raises(Unreachable):
                await waiting
            return len(asyncio.all_tasks())

        raw = Raw(*([[plain(b"first")]] if kept else []), [b""])
        using(raw, use)
        assert (raw.connections, len(raw.requests)) == (1, 1 + kept)

    def test_a_body_without_an_end_of_its_own_is_not_whole_when_we_close(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> None:
            async with fetcher.fetch("GET", url) as answer:
                reading = asyncio.create_task(answer.content(LIMIT))
                await asyncio.sleep(0.05)
                await fetcher.close()
                await reading

        with pytest.raises(BadAnswer, match="ended before"):
            using(Raw([b"HTTP/1.1 200 OK\r\n\r\npart"]), use)

    def test_a_trickle_is_no_silence(self) -> None:
        class Slowly(Raw):
            async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                for byte in plain(b"slow"):
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.02)
                writer.close()

        assert using(Slowly(), content_of, HttpSettings(trust_env=False, read_timeout=0.5)) == b"slow"

    def test_of_several_addresses_that_refuse_no_one_is_told_alone(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()

            async def both(*_: Any, **__: Any) -> list[Any]:
                return [
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 1)),
                ]

            loop.getaddrinfo = both  # type: ignore[method-assign]
            async with Fetcher(DIRECT, who="the server") as fetcher:
                await content_of(fetcher, "http://two.invalid/")

        with pytest.raises(Unreachable, match="none of its addresses"):
            asyncio.run(main())

    def test_a_host_that_can_be_no_name_is_not_resolved(self) -> None:
        async def main() -> None:
            async with Fetcher(DIRECT, who="the server") as fetcher:
                await content_of(fetcher, f"http://{'x' * 64}.invalid/")

        with pytest.raises(Unreachable, match="cannot be resolved"):
            asyncio.run(main())

    @pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "max_connections"])
    def test_a_number_that_lets_nothing_through_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=name):
            HttpSettings(**{name: 0})  # type: ignore[arg-type]

    def test_it_can_be_closed_twice_and_amid_an_answer(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> None:
            async with fetcher.fetch("GET", url) as answer:
                await fetcher.close()
                await fetcher.close()
                with pytest.raises(BadAnswer, match="ended before"):
                    await answer.content(LIMIT)

        using(Raw([plain(b"x" * 3_000_000)]), use)


def using_tls(folder: Path, raw: Raw, use: Callable[[Fetcher, str], Awaitable[Any]]) -> Any:
    authority = Authority(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server"))

    async def main() -> Any:
        how = HttpSettings(trust_env=False, ca_file=str(authority.certificate))
        async with serving(raw, context), Fetcher(how, who="the server") as fetcher:
            return await use(fetcher, raw.url)

    return asyncio.run(main())


class TestTls:
    """The same over TLS."""

    @pytest.mark.parametrize("form", ["length", "chunked", "end"])
    @pytest.mark.parametrize("step", [60_000, 2**20])
    def test_nothing_is_lost_when_the_server_closes_while_the_reader_takes_his_time(
        self, tmp_path: Path, form: str, step: int
    ) -> None:
        body = random.Random(step).randbytes(1_500_000)
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        sent = {"length": plain(body), "chunked": chunked, "end": b"HTTP/1.1 200 OK\r\n\r\n" + body}[form]

        async def use(fetcher: Fetcher, url: str) -> bytes:
            found = b""
            async with fetcher.fetch("GET", url) as answer:
                room = memoryview(bytearray(step))
                while came := await answer.read_into(room):
                    found += room[:came]
                    await asyncio.sleep(0.02)
            return found

        assert using_tls(tmp_path, Raw([sent, None]), use) == body

    def test_who_is_cancelled_gives_the_place_free(self, tmp_path: Path) -> None:
        async def use(fetcher: Fetcher, url: str) -> bytes:
            task = asyncio.create_task(content_of(fetcher, url))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await content_of(fetcher, url)

        raw = Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"], [plain(b"second")])
        assert using_tls(tmp_path, raw, use) == b"second"

    def test_small_and_large_bodies_come_over_one_connection(self, tmp_path: Path) -> None:
        bodies = [b"", b"small", bytes(range(256)) * 12_000, b"small again", b"x" * 100_000]
        raw = Raw(*([plain(body)] for body in bodies))

        async def use(fetcher: Fetcher, url: str) -> list[bytes]:
            found = []
            for _ in bodies:
                async with fetcher.fetch("GET", url) as answer:
                    found.append(await in_steps(answer, [1, 70_000, 500_000]))
            return found

        assert using_tls(tmp_path, raw, use) == bodies
        assert raw.connections == 1


def body_of(number: int) -> bytes:
    return b"%06d." % number * (number * 7919 % 30_000)


class Stormy(Raw):
    """Answers `/NUMBER` in a form and in segments of its choice, and closes now and then."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving[asyncio.current_task()] = writer
        try:
            while True:
                method, target, *_ = (await reader.readuntil(b"\r\n\r\n")).split()
                closes = self.chance.random() < 0.1
                left = self.answer(int(target[1:]), closes=closes, with_body=method == b"GET")
                while left:
                    size = self.chance.choice((1, 100, 5_000, 70_000, 400_000)) if len(left) > 1_000 else len(left)
                    writer.write(left[:size])
                    await writer.drain()
                    left = left[size:]
                if closes:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            del self.serving[asyncio.current_task()]
            writer.close()

    def answer(self, number: int, *, closes: bool, with_body: bool) -> bytes:
        body = body_of(number)
        form = b"Content-Length: %d\r\n" % len(body)
        if number % 4 == 1:
            form = b"Transfer-Encoding: chunked\r\n"
            parts = [body[at : at + 5000] for at in range(0, len(body), 5000)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        early = b"HTTP/1.1 103 Early Hints\r\nX-Number: none\r\n\r\n" * (number % 5 == 0)
        head = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n%b" % (number, form)
        return early + head + b"Connection: close\r\n" * (closes and number % 2) + b"\r\n" + body * with_body


@pytest.mark.parametrize("tls", [False, True])
def test_in_a_storm_of_requests_each_gets_its_own_answer(tmp_path: Path, tls: bool) -> None:
    """Every form of answer in segments of any size, closing connections, readers who are cancelled or lose interest."""
    chance = random.Random(tls)

    async def use(fetcher: Fetcher, url: str) -> int:
        whole = 0

        async def one(number: int) -> None:
            nonlocal whole
            method = "HEAD" if number % 7 == 0 else "GET"
            async with fetcher.fetch(method, f"{url}/{number}") as answer:
                assert answer.headers["x-number"] == str(number)
                if number % 11 == 0:
                    return
                found = await in_steps(answer, [1 + number * 97 % 80_000])
                assert found == (body_of(number) if method == "GET" else b"")
                whole += 1

        async def in_a_hurry(number: int) -> None:
            if number % 9:
                await one(number)
                return
            task = asyncio.create_task(one(number))
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        await asyncio.gather(*(in_a_hurry(number) for number in range(250)))
        # Every place is free again.
        await asyncio.gather(*(content_of(fetcher, f"{url}/{number}") for number in range(100, 140)))
        return whole

    assert (using_tls(tmp_path, Stormy(1), use) if tls else using(Stormy(2), use)) > 190


class TestProxy:
    """HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""

    @pytest.fixture(autouse=True)
    def no_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)

    def through(self, monkeypatch: pytest.MonkeyPatch, reply: Reply, url: str, user: str = "") -> list[Asked]:
        async def main() -> list[Asked]:
            async with scripted(in_turn(reply)) as proxy, Fetcher(HttpSettings(), who="the server") as fetcher:
                address = proxy.url.replace("http://", f"http://{user}")
                monkeypatch.setenv("http_proxy", address)
                monkeypatch.setenv("https_proxy", address)
                await content_of(fetcher, url)
                return proxy.asked

        return asyncio.run(main())

    def test_requests_go_through_the_environments_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (asked,) = self.through(monkeypatch, Reply(), "http://far.invalid/x?y=%20", user="me:sec%40ret@")

        assert asked.target == "http://far.invalid/x?y=%20"
        assert asked.headers["host"] == "far.invalid"
        assert asked.headers["proxy-authorization"] == "Basic bWU6c2VjQHJldA=="  # me:sec@ret

    @pytest.mark.parametrize(("status", "kind"), [(407, AccessDenied), (502, Unreachable)])
    def test_a_refusal_of_the_proxy_is_told_as_its_own(
        self, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match="the proxy refused") as caught:
            self.through(monkeypatch, Reply(status), "https://far.invalid/x", user="me:secret@")
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["http://far.invalid", "https://far.invalid"])
    def test_a_proxy_that_is_not_there_is_told(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")

        async def main() -> None:
            async with Fetcher(HttpSettings(), who="the server") as fetcher:
                await content_of(fetcher, url)

        with pytest.raises(Unreachable, match="the proxy on the way"):
            asyncio.run(main())

    def test_a_proxy_that_hangs_up_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unreachable, match="the proxy on the way"):
            self.through(monkeypatch, Reply(raw=b"", then=Then.CLOSE), "https://far.invalid/x")

    def test_no_proxy_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        assert asked_of(in_turn(Reply()), "/", HttpSettings())[1] == 200

    @pytest.mark.parametrize("value", ["socks5://me:secret@127.0.0.1:1080", "http://"])
    def test_a_variable_that_names_no_http_proxy_is_told_without_its_password(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("http_proxy", value)

        with pytest.raises(ConfigError, match="HTTP_PROXY") as caught:
            asked_of(in_turn(Reply()), "/", HttpSettings())
        assert "secret" not in str(caught.value)

    def test_a_proxy_whose_certificate_is_not_trusted_is_told_as_such(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = Authority(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server"))

        async def main() -> None:
            async with scripted(in_turn(Reply()), tls=context) as proxy:
                monkeypatch.setenv("https_proxy", proxy.url)
                async with Fetcher(HttpSettings(), who="the server") as fetcher:
                    await content_of(fetcher, "https://far.invalid/x")

        with pytest.raises(TlsFailed, match="certificate of the proxy on the way"):
            asyncio.run(main())

    def test_an_address_of_version_6_is_written_with_brackets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> Asked:
            async with scripted(in_turn(Reply(502))) as proxy, Fetcher(HttpSettings(), who="the server") as fetcher:
                monkeypatch.setenv("https_proxy", proxy.url)
                with pytest.raises(Unreachable, match="proxy refused"):
                    await content_of(fetcher, "https://[::1]:9443/x")
                return proxy.asked[0]

        asked = asyncio.run(main())
        assert (asked.target, asked.headers["host"]) == ("[::1]:9443", "[::1]:9443")

    @pytest.mark.parametrize("proxy_speaks_tls", [False, True])
    @pytest.mark.parametrize("trusted", [True, False])
    def test_tls_goes_through_a_tunnel(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy_speaks_tls: bool, trusted: bool
    ) -> None:
        (tmp_path / "other").mkdir()
        authority, stranger = Authority(tmp_path), Authority(tmp_path / "other")
        context, origins = (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2))
        context.load_cert_chain(*authority.issue("server"))
        origins.load_cert_chain(*(authority if trusted else stranger).issue("origin"))
        how = HttpSettings(ca_file=str(authority.certificate))
        bodies = [b"small", bytes(range(256)) * 2_000]
        raw = Raw(*([plain(body)] for body in bodies))
        asked: list[bytes] = []

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            host, port = asked[-1].split()[1].decode().split(":")
            there_reader, there = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
            await asyncio.gather(pumped(reader, there), pumped(there_reader, writer))

        async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except (ConnectionError, ssl.SSLError):
                pass
            finally:
                writer.close()

        async def main() -> list[bytes]:
            proxy = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context if proxy_speaks_tls else None)
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv("https_proxy", f"http{'s' * proxy_speaks_tls}://me:secret@127.0.0.1:{port}")
            async with proxy, serving(raw, origins), Fetcher(how, who="the server") as fetcher:
                found = [await content_of(fetcher, raw.url) for _ in bodies]
                await fetcher.close()
                await asyncio.sleep(0.05)
                return found

        if not trusted:
            with pytest.raises((TlsFailed, Unreachable), match="the server at https"):
                asyncio.run(main())
            return
        assert asyncio.run(main()) == bodies
        (connect,) = asked
        assert connect.startswith(b"CONNECT 127.0.0.1:")
        assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in connect
        assert b"Proxy-Authorization" not in b"".join(raw.requests)
