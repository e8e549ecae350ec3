"""A proxy of HTTP/1.1 between a sync and a real server, which breaks chosen exchanges and passes the rest on.

It works on the bytes: what it breaks reaches both ends as a broken network would bring it. It runs in a thread of its
own, so that the sync beside it can be in this process or in another.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import urlsplit

_READ = 64 * 1024
_STALLED_AT_MOST = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """What came in, and where the proxy is with it.

    Attributes:
        operation, path: of a call that changes the file manager ("create", "acme/a.txt"), read from its form; else "".
        body: as sent; whatever came of it, where the sender broke off.
    """

    number: int
    method: str
    target: str
    head: bytes
    body: bytes
    operation: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes back."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def to_bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers)]
        if not any(name.lower() == "content-length" for name, _ in self.headers):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body


class Cut(Enum):
    """How a connection ends."""

    RESET = "reset"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of an exchange; everything is optional.

    Attributes:
        instead: answered at once, and the server never hears of the request.
        cut_request: after so many bytes of its body the request is cut off, at both ends.
        then: called when it was.
        before: called before the request is passed on.
        after: called with the server's answer before that goes back.
        answer: gives what goes back in place of the server's answer.
        cut_answer: after so many bytes of its body the answer is cut off; 0 for no byte at all, not even the head.
        how: the way in which a connection is cut.
        stall: in place of being cut, the connection stays silent from there on until this is set.
    """

    instead: Answer | None = None
    cut_request: int | None = None
    then: Callable[[], None] | None = None
    before: Callable[[], None] | None = None
    after: Callable[[Answer], None] | None = None
    answer: Callable[[Answer], Answer] | None = None
    cut_answer: int | None = None
    how: Cut = Cut.RESET
    stall: threading.Event | None = None


Rule = Callable[[Request], Fault | None]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        url: where it listens; the server's own path stays.
        rule: asked for each request once it came, or its beginning where the rule cuts requests; None passes it on.
        seen: every request, in order of arrival.
        cuts: whether `rule` may cut requests, so that it is asked before the body came.
    """

    url: str = ""
    rule: Rule = lambda _: None
    cuts: bool = False
    seen: list[Request] = field(default_factory=list)

    def calls(self, *operations: str) -> list[str]:
        """Paths of the calls that changed the file manager, in order."""
        return [one.path for one in self.seen if one.operation in operations]


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy before `upstream`, an HTTP address, for the length of a `with` block."""
    running = Proxy()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    served = asyncio.run_coroutine_threadsafe(_serve(running, upstream), loop).result(10)
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(_end(served), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class _Served:
    server: asyncio.Server
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


async def _serve(running: Proxy, upstream: str) -> _Served:
    where = urlsplit(upstream)
    host, port = where.hostname or "", where.port or 80

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.tasks.add(task)
        served.connections.add(writer)
        try:
            while await _exchange(running, reader, writer, host, port):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            served.tasks.discard(task)
            served.connections.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_READ)
    served = _Served(server)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return served


async def _end(served: _Served) -> None:
    served.server.close()
    for writer in list(served.connections):
        writer.transport.abort()
    await asyncio.gather(*list(served.tasks), return_exceptions=True)


async def _exchange(
    running: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> bool:
    """One request and its answer; False where the connection ends with it."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    request = Request(len(running.seen), method, target, head, b"")
    length = int(_header(head, "content-length") or 0)
    if _header(head, "expect"):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    beginning = await reader.read(min(length, _READ)) if length else b""
    request = _understood(request, beginning)
    fault = running.rule(request) if running.cuts else None
    if fault is not None and fault.cut_request is not None:
        running.seen.append(request)
        await _cut_request(request, fault, reader, writer, host, port, beginning)
        return False
    body = beginning + (await reader.readexactly(length - len(beginning)))
    request = _understood(replace(request, number=len(running.seen)), body)
    running.seen.append(request)
    if not running.cuts:
        fault = running.rule(request)
    fault = fault or Fault()
    if fault.instead is not None:
        writer.write(fault.instead.to_bytes())
        await writer.drain()
        return False
    if fault.before is not None:
        await asyncio.to_thread(fault.before)
    answer = await _passed_on(request, host, port)
    if fault.after is not None:
        await asyncio.to_thread(fault.after, answer)
    if fault.answer is not None:
        answer = fault.answer(answer)
    await _give_back(answer, fault, writer)
    return False


async def _passed_on(request: Request, host: str, port: int) -> Answer:
    reader, writer = await asyncio.open_connection(host, port, limit=_READ)
    try:
        lines = [
            line
            for line in request.head.split(b"\r\n")[:-2]
            if not line.lower().startswith((b"connection:", b"expect:"))
        ]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + request.body)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head = await reader.readuntil(b"\r\n\r\n")
        return await _whole_answer(head, request.method, reader)
    finally:
        writer.close()


async def _whole_answer(head: bytes, method: str, reader: asyncio.StreamReader) -> Answer:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    status = int(first.split(" ", 2)[1])
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    body = b""
    if method != "HEAD" and status not in (204, 304):
        if (_header(head, "transfer-encoding") or "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            headers = [(name, value) for name, value in headers if name.lower() != "transfer-encoding"]
        else:
            body = await reader.read(-1)
    kept = tuple((name, value) for name, value in headers if name.lower() not in ("connection", "keep-alive"))
    return Answer(status, kept, body)


async def _give_back(answer: Answer, fault: Fault, writer: asyncio.StreamWriter) -> None:
    whole = answer.to_bytes()
    if fault.cut_answer is not None:
        begins = whole.index(b"\r\n\r\n") + 4
        whole = whole[: begins + fault.cut_answer] if fault.cut_answer else b""
    writer.write(whole)
    await writer.drain()
    if fault.stall is not None:
        await asyncio.to_thread(fault.stall.wait, _STALLED_AT_MOST)
    if fault.cut_answer is not None and fault.how is Cut.RESET:
        _reset(writer)


async def _cut_request(
    request: Request,
    fault: Fault,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    port: int,
    beginning: bytes,
) -> None:
    """The server gets a part of the request, then a broken connection; so does the sender."""
    _, onward = await asyncio.open_connection(host, port)
    part = beginning
    while len(part) < (fault.cut_request or 0):
        part += await reader.readexactly(min(_READ, (fault.cut_request or 0) - len(part)))
    onward.write(request.head + part[: fault.cut_request])
    await onward.drain()
    _reset(onward)
    if fault.then is not None:
        await asyncio.to_thread(fault.then)
    _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection without a word (RST)."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _header(head: bytes, name: str) -> str | None:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        given, _, value = line.partition(":")
        if given.lower() == name:
            return value.strip()
    return None


def _understood(request: Request, body: bytes) -> Request:
    """With the operation and path that a form names."""
    operation = _form_field(body, "operation") if request.target.startswith("/saveToDisk") else ""
    return replace(request, body=body, operation=operation, path=_form_field(body, "file_path"))


def _form_field(body: bytes, name: str) -> str:
    """A field of a multipart form; "" where it has none."""
    _, found, rest = body[:_READ].partition(f'name="{name}"'.encode())
    if not found:
        return ""
    value = rest.split(b"\r\n\r\n", 1)[-1]
    return value.split(b"\r\n--", 1)[0].decode("utf-8", "replace")
