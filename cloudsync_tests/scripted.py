"""An HTTP server that answers what it is told, byte by byte: for answers that no proper server gives."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from socket import SO_LINGER, SOL_SOCKET


class Then(Enum):
    """What becomes of the connection after a reply."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        raw: sent in place of everything else, if given.
        announced: the Content-Length, by default the true one; -1 sends none.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    announced: int | None = None
    then: Then = Then.KEEP
    raw: bytes | None = None

    def to_bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        length = len(self.body) if self.announced is None else self.announced
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers.items())]
        if length >= 0:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Script = Callable[[Asked], Reply]


@dataclass
class ScriptedServer:
    """A running server; `asked` is what came in."""

    url: str
    asked: list[Asked] = field(default_factory=list)


def in_turn(*replies: Reply) -> Script:
    """The replies one after the other; the last one again and again."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@asynccontextmanager
async def scripted(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    """Serve on 127.0.0.1 until the context ends."""
    done = asyncio.Event()
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections[task] = writer
        try:
            while (asked := await _request(reader)) is not None:
                running.asked.append(asked)
                reply = script(asked)
                writer.write(reply.to_bytes())
                await writer.drain()
                if reply.then is Then.STALL:
                    await done.wait()
                if reply.then is Then.RESET:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
                    writer.transport.abort()
                if reply.then is not Then.KEEP:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            connections.pop(task, None)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    running = ScriptedServer(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
    try:
        yield running
    finally:
        done.set()
        server.close()
        # Aborted, not cancelled: asyncio's streams log a cancelled handler as an error.
        for writer in connections.values():
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, target, _ = first.split(" ", 2)
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)
