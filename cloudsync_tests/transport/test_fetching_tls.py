"""The client that storages are read with through TLS; and plain and through TLS in a storm of requests."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from cloudsync_pipeline.transport.fetching import Fetcher
from cloudsync_tests.transport.raw_server import (
    Raw,
    content_of,
    in_steps,
    plain,
    using,
    using_tls,
)


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
