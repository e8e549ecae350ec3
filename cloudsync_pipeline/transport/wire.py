"""One connection of HTTP/1.1 for requests without a body: the protocol below `fetching`.

What arrives goes from the socket into the buffer in which it is wanted: no piece of it is made into an object, queued
and copied first. The parser (llhttp) sees heads and chunked bodies, and nothing of a body whose length is announced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

ROOM = 80 * 1024
"""Bytes of a head at most; a body that fits in beside its head has arrived when the answer is given out."""
_BUFFERED = 256 * 1024
"""Bytes of a body of unknown length that are kept for a reader who does not come."""
_HEAD_END = b"\r\n\r\n"
_FIRST = b"HTTP/"


class NoHttp(Exception):
    """What came is not HTTP, or nothing that was asked for."""


class Ended(Exception):
    """The other side closed the connection amid an answer, or before one."""


class Headers(dict[str, str]):
    """Of an answer: names in any case; of several with one name the first."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


class Wire(asyncio.BufferedProtocol):
    """See the module's docstring. One request at a time: `ask`, then `read_into` as often as one likes, then `rest`.

    Whoever is cancelled while waiting here has closed the connection.

    Args:
        silence: seconds without a byte, while one is waited for, after which it is given up.

    Attributes:
        status, headers: of the answer.
        length: announced bytes of its body; 0 where it has none, None where nothing is announced.
        begun: something of it came.
        idle_since: when it was last at rest, by the loop's clock.
    """

    def __init__(self, *, silence: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._transport: asyncio.Transport | None = None
        self._room = bytearray(ROOM)
        self._view = memoryview(self._room)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._lost: Exception | None = None
        self._pieces: deque[bytes] = deque()
        self._paused = False
        self.idle_since = 0.0
        self._clear()

    def _clear(self) -> None:
        self.status = 0
        self.headers = Headers()
        self.length: int | None = None
        self.begun = False
        self._asked = False
        self._bodiless = False
        self._keep = False
        self._filled = 0  # bytes in the room
        self._given = 0  # of which so many were parsed or given out
        self._room_end = ROOM
        self._left = 0  # bytes of the body that have not come yet; -1 while nobody knows
        self._target: memoryview | None = None
        self._parsing: HttpResponseParser | None = None  # where the parser takes the body too
        self._pieces.clear()

    # --- asking ---------------------------------------------------------------------------------

    async def ask(self, request: bytes, *, bodiless: bool) -> None:
        """Send a request and wait for its answer: the head, and of a small body all that comes.

        Args:
            bodiless: the answer has no body, whatever it announces (HEAD, CONNECT).

        Raises:
            NoHttp, Ended, TimeoutError, OSError, ssl.SSLError: it is closed.
        """
        self._asked = True
        self._bodiless = bodiless
        if self._lost is not None or self._transport is None:
            raise self._lost or Ended
        self._transport.write(request)
        await self._wait()

    async def read_into(self, target: memoryview) -> int:
        """Fill a buffer with what comes next of the body; how many bytes: fewer than fit only at its end.

        Raises:
            NoHttp, Ended, TimeoutError, OSError, ssl.SSLError: it broke off before its end; it is closed.
        """
        if self._parsing:
            return await self._read_parsed(target)
        here = min(self._filled - self._given, len(target))
        target[:here] = self._view[self._given : self._given + here]
        self._given += here
        wanted = min(self._left, len(target) - here)
        if wanted:
            if self._lost is not None:
                raise self._lost
            self._target = target[here : here + wanted]
            self._resume()
            await self._wait()
        return here + wanted

    def arrived(self) -> bytes | None:
        """The rest of the body, if all of it has come already."""
        if self._parsing or self._left:
            return None
        found = bytes(self._view[self._given : self._filled])
        self._given = self._filled
        return found

    async def _read_parsed(self, target: memoryview) -> int:
        came = 0
        while came < len(target):
            if not self._pieces:
                if self._left == 0:
                    break
                if self._lost is not None:
                    raise self._lost
                self._resume()
                await self._wait()
                continue
            piece = self._pieces.popleft()
            taken = min(len(piece), len(target) - came)
            target[came : came + taken] = piece[:taken]
            came += taken
            if taken < len(piece):
                self._pieces.appendleft(piece[taken:])
        return came

    def rest(self) -> bool:
        """Be done with the answer. Whether the connection can be asked again; else it is closed."""
        if self._left != 0 or not self._keep or self._lost is not None or not self._asked:
            self.close()
            return False
        self._clear()
        self._resume()  # so that a close by the other side is noticed
        self.idle_since = self._loop.time()
        return True

    @property
    def usable(self) -> bool:
        """Whether it can be asked something."""
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """End it at once; a second call does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lost = self._lost or Ended()
        if self._transport is not None:
            self._transport.abort()

    # --- waiting --------------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._heard_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._heard_at + self._silence, self._listen)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
            self._target = None

    def _listen(self) -> None:
        """Give up if nothing was heard for too long. One timer for many waits: most end long before it."""
        self._timer = None
        if self._waiter is None:
            return
        until = self._heard_at + self._silence
        if self._loop.time() < until:
            self._timer = self._loop.call_at(until, self._listen)
        else:
            self._fail(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._lost = self._lost or error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._lost)
        if self._transport is not None:
            self._transport.abort()

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    # --- what the event loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def secured(self, transport: asyncio.BaseTransport) -> None:
        """Begin anew through TLS, which was set up over the transport before."""
        self._clear()
        self._transport = cast("asyncio.Transport", transport)

    @property
    def transport(self) -> asyncio.Transport:
        """Raises Ended where the connection is gone."""
        if self._transport is None:
            raise Ended
        return self._transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost = self._lost or error or Ended()
        if self._parsing and self.length is None and error is None and "transfer-encoding" not in self.headers:
            self._left = 0  # the end of the connection is the end of this body
        if self.status and self._target is None and (self._left == 0 or self._parsing is None):
            # The answer is given out; whoever reads its body on will hear of it.
            self._wake()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._lost)

    def get_buffer(self, _hint: int) -> memoryview:
        if self._target is not None:
            return self._target
        # What comes where nothing more is awaited has to go somewhere before it is refused.
        return self._view if self._parsing else self._view[self._filled : self._room_end] or self._view

    def buffer_updated(self, count: int) -> None:
        self._heard_at = self._loop.time()
        self.begun = True
        if self._target is not None:
            self._left -= count
            self._target = self._target[count:]
            if not self._target:
                self._target = None
                if self._left:
                    self._pause()
                self._wake()
        elif self._parsing:
            self._parse(self._parsing, self._view[:count])
        elif not self._asked or self.status:
            self._take_small(count)
        else:
            self._filled += count
            self._look_for_head()

    def _take_small(self, count: int) -> None:
        if not self._asked or self._left < count:
            self._fail(NoHttp("more came than was asked for"))
            return
        self._filled += count
        self._left -= count
        if self._left == 0:
            self._wake()

    # --- heads ----------------------------------------------------------------------------------

    def _look_for_head(self) -> None:
        while True:
            if not self._room.startswith(_FIRST[: self._filled]):
                self._fail(NoHttp("it begins otherwise"))
                return
            end = self._room.find(_HEAD_END, 0, self._filled)
            if end < 0:
                if self._filled == ROOM:
                    self._fail(NoHttp("its head does not end"))
                return
            self._given = end + len(_HEAD_END)
            parser = HttpResponseParser(self)
            self.headers = Headers()
            try:
                parser.feed_data(self._view[: self._given])
            except (HttpParserError, HttpParserUpgrade) as error:
                self._fail(NoHttp(str(error)))
                return
            status = parser.get_status_code()
            if status >= 200:
                self._take_head(parser, status)
                return
            # An interim answer: the one that was asked for follows.
            self._filled -= self._given
            self._view[: self._filled] = self._view[self._given : self._given + self._filled]

    def _take_head(self, parser: HttpResponseParser, status: int) -> None:
        """Decide how the body will come."""
        options = (self.headers.get("connection") or "").lower()
        # llhttp's own answer to this takes every answer for one to a GET.
        self._keep = "close" not in options and (parser.get_http_version() != "1.0" or "keep-alive" in options)
        announced = self.headers.get("content-length")
        here = self._filled - self._given
        self.status = status
        if self._bodiless or status in (204, 304):
            self.length = self._left = 0
            self._keep = self._keep and here == 0
            here = 0
        elif "transfer-encoding" in self.headers or announced is None:
            self._left, self._parsing = -1, parser
            if here:
                self._parse(parser, self._view[self._given : self._filled])
                here = 0
        else:
            self.length = int(announced)
            self._keep = self._keep and here <= self.length
            here = min(here, self.length)
            self._left = self.length - here
        self._filled = self._given + here
        if self._parsing or self._left == 0:
            self._wake()
        elif self._filled + self._left <= ROOM:
            self._room_end = self._filled + self._left
        else:
            self._pause()
            self._wake()

    def _parse(self, parser: HttpResponseParser, data: memoryview) -> None:
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(NoHttp(str(error)))
            return
        if sum(map(len, self._pieces)) > _BUFFERED:
            self._pause()
        if self._pieces or self._left == 0:
            self._wake()

    # --- what the parser calls ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.status:
            self._keep = False  # more came than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer: nobody asks for one
        self.headers.setdefault(name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape"))

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._parsing:
            self._left = 0


def request(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request without a body.

    Raises:
        ValueError: a header holds an end of line.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError("a header holds an end of line")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
