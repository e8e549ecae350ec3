"""How the client that storages are read with uses its connections, and lets go of them."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, ConfigError, Unreachable
from cloudsync_pipeline.transport import fetching
from cloudsync_pipeline.transport.fetching import Fetcher
from cloudsync_pipeline.transport.incoming import ROOM
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.wire import Wire
from cloudsync_tests.transport.raw_server import (
    DIRECT,
    LIMIT,
    Raw,
    content_of,
    plain,
    serving,
    using,
    using_tls,
)


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
