"""The client that storages are read with: what it sends, what it makes of an answer, how it uses connections."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import AccessDenied, BadAnswer, ConfigError, Unreachable
from cloudsync_pipeline.transport.fetching import Answer, Fetcher
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.wire import ROOM, request
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

    @pytest.mark.parametrize(
        "first",
        [
            [plain(b"one") + b"excess"],
            [plain(b"one"), b"excess"],
            [plain(b"one", "Connection: close")],
            [b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none"],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"],
            [b"HTTP/1.1 204 No Content\r\n\r\none"],
        ],
    )
    def test_one_that_gave_more_than_was_asked_or_will_close_is_not_used_again(self, first: list[bytes]) -> None:
        async def use(fetcher: Fetcher, url: str) -> bytes:
            await content_of(fetcher, url)
            await asyncio.sleep(0.05)
            return await content_of(fetcher, url)

        raw = Raw(first, [plain(b"second")])
        assert using(raw, use) == b"second"
        assert raw.connections == 2

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

    def test_it_can_be_closed_twice_unused_and_amid_an_answer(self) -> None:
        async def use(fetcher: Fetcher, url: str) -> None:
            await fetcher.close()
            async with fetcher.fetch("GET", url) as answer:
                await fetcher.close()
                await fetcher.close()
                with pytest.raises(BadAnswer, match="ended before"):
                    await answer.content(LIMIT)

        using(Raw([plain(b"x" * 3_000_000)]), use)


class TestTls:
    """The same over TLS."""

    def test_small_and_large_bodies_come_over_one_connection(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server"))
        bodies = [b"", b"small", bytes(range(256)) * 12_000, b"small again", b"x" * 100_000]
        raw = Raw(*([plain(body)] for body in bodies))

        async def main() -> list[bytes]:
            how = HttpSettings(trust_env=False, ca_file=str(authority.certificate))
            async with serving(raw, context), Fetcher(how, who="the server") as fetcher:
                found = []
                for _ in bodies:
                    async with fetcher.fetch("GET", raw.url) as answer:
                        found.append(await in_steps(answer, [1, 70_000, 500_000]))
                return found

        assert asyncio.run(main()) == bodies
        assert raw.connections == 1


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

    @pytest.mark.parametrize("proxy_speaks_tls", [False, True])
    def test_tls_goes_through_a_tunnel(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy_speaks_tls: bool
    ) -> None:
        authority = Authority(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server"))
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
            async with proxy, serving(raw, context), Fetcher(how, who="the server") as fetcher:
                found = [await content_of(fetcher, raw.url) for _ in bodies]
                await fetcher.close()
                await asyncio.sleep(0.05)
                return found

        assert asyncio.run(main()) == bodies
        (connect,) = asked
        assert connect.startswith(b"CONNECT 127.0.0.1:")
        assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in connect
        assert b"Proxy-Authorization" not in b"".join(raw.requests)
