"""A server that answers segment by segment, and ways to ask it by the client that storages are read with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cloudsync_pipeline.transport.fetching import Answer, Fetcher
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.devserver.certificates import Authority

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


def using_tls(folder: Path, raw: Raw, use: Callable[[Fetcher, str], Awaitable[Any]]) -> Any:
    authority = Authority(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server"))

    async def main() -> Any:
        how = HttpSettings(trust_env=False, ca_file=str(authority.certificate))
        async with serving(raw, context), Fetcher(how, who="the server") as fetcher:
            return await use(fetcher, raw.url)

    return asyncio.run(main())


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
