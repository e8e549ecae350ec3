"""An answer of HTTP/1.1 as it comes in, without any connection: where its bytes go, and what they are.

The parser (llhttp) sees heads and chunked bodies, and nothing of a body whose length is announced.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

ROOM = 80 * 1024
"""Bytes of a head at most; a body that fits in beside its head has arrived when the answer is given out."""
_HELD = 256 * 1024
"""Bytes of a body that are held for a reader who does not come, before no more should be received."""
_SCRATCH = 64 * 1024
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_BEGINNING = b"HTTP/"


class NoHttp(Exception):
    """What came is not HTTP, or nothing that was asked for."""


class Headers(dict[str, str]):
    """Of an answer: names in any case; of several with one name the first."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


class Incoming:
    """One answer after the other; `expect` before each.

    Whoever receives asks for a `buffer` and says how much `came` into it, or has something that came already and
    gives it to `take`. Whoever reads sets `target`, which is None again once it is full, or takes what is ready.

    Attributes:
        status, headers: 0 and none until the head has come.
        length: announced bytes of the body; 0 where it has none, None where nothing is announced.
        left: bytes of the body that have not come; -1 while nobody knows, 0 once it is complete.
        begun: something came.
        keep: the connection can be asked again after this answer.
        target: where the next bytes of a body of announced length belong.
    """

    def __init__(self) -> None:
        self._room = bytearray(ROOM)
        self._view = memoryview(self._room)
        self._scratch: memoryview | None = None
        self.rest()

    def rest(self) -> None:
        """Nothing is expected any more."""
        self.status = 0
        self.headers = Headers()
        self.length: int | None = None
        self.left = 0
        self.begun = False
        self.keep = False
        self.target: memoryview | None = None
        self._expected = False
        self._bodiless = False
        self._unasked = False  # more came than the answer
        self._filled = 0  # bytes in the room: the head, and a small body or the beginning of a large one
        self._given = 0  # of which so many were parsed or given out
        self._fits = False  # all of the body has room beside the head
        self._held: deque[bytes] = deque()  # bytes of the body behind those in the room
        self._held_bytes = 0
        self._parser: HttpResponseParser | None = None  # of a body whose length is not announced

    def expect(self, *, bodiless: bool) -> None:
        """An answer is to come.

        Args:
            bodiless: it has no body, whatever it announces (HEAD, CONNECT).
        """
        self._expected = True
        self._bodiless = bodiless

    # --- reading --------------------------------------------------------------------------------

    @property
    def parsed(self) -> bool:
        """Whether the body comes by way of the parser: it is taken when it is ready, and has no target."""
        return self._parser is not None

    @property
    def ready(self) -> bool:
        """Whether there is news for the reader."""
        return self.status != 0 and self.target is None and (self.left == 0 or not self._into_room)

    @property
    def full(self) -> bool:
        """Whether no more should be received until somebody reads."""
        waits = self.left > 0 and self._parser is None and self.target is None and not self._into_room
        return self._unasked or self._held_bytes > _HELD or (self.status != 0 and waits)

    def take_ready(self, target: memoryview) -> int:
        """Move what has come already; how many bytes."""
        came = min(self._filled - self._given, len(target))
        target[:came] = self._view[self._given : self._given + came]
        self._given += came
        while self._held and came < len(target):
            piece = self._held.popleft()
            taken = min(len(piece), len(target) - came)
            target[came : came + taken] = piece[:taken]
            came += taken
            self._held_bytes -= taken
            if taken < len(piece):
                self._held.appendleft(piece[taken:])
        return came

    def arrived(self) -> bytes | None:
        """The rest of the body, if all of it has come already and is small."""
        if self.left != 0 or self._held:
            return None
        found = bytes(self._view[self._given : self._filled])
        self._given = self._filled
        return found

    # --- receiving ------------------------------------------------------------------------------

    @property
    def _into_room(self) -> bool:
        """Whether what comes belongs into the room: a head, or a body that fits in behind it."""
        if not self.status:
            return self._expected
        return self._fits and self.left > 0

    def buffer(self) -> memoryview:
        """Where to put what comes next; never empty."""
        if self.target is not None:
            return self.target
        if self._into_room:
            return self._view[self._filled : self._filled + self.left if self.left > 0 else ROOM]
        if self._scratch is None:
            self._scratch = memoryview(bytearray(_SCRATCH))
        return self._scratch

    def came(self, count: int) -> None:
        """So many bytes were put into `buffer()`.

        Raises:
            NoHttp
        """
        self.begun = True
        if self.target is not None:
            self._into_target(self.target, count)
        elif self._into_room:
            self._into_the_room(count)
        elif self._scratch is not None:
            self.take(self._scratch[:count])

    def take(self, data: memoryview) -> None:
        """These bytes came, and are not used any more afterwards.

        Raises:
            NoHttp
        """
        self.begun = True
        while data:
            count = len(data)
            if self.target is not None:
                count = min(count, len(self.target))
                self.target[:count] = data[:count]
                self._into_target(self.target, count)
            elif self._into_room:
                there = self.buffer()
                count = min(count, len(there))
                there[:count] = data[:count]
                self._into_the_room(count)
            elif self._parser is not None and self.left:
                self._parse(self._parser, data)
            elif self.left > 0:
                count = min(count, self.left)
                self.left -= count
                self._hold(bytes(data[:count]))
            else:
                # Whatever it is, it would be taken for the next answer.
                self.keep, self._unasked = False, True
                if not self._expected:
                    raise NoHttp("something came that nobody asked for")
                return
            data = data[count:]

    def ended(self) -> None:
        """The other side has ended the connection: which is the end of a body that does not say where it ends."""
        if self.left < 0 and "transfer-encoding" not in self.headers:
            self.left = 0

    def forget_parser(self) -> None:
        """It and this hold each other."""
        self._parser = None

    def _into_target(self, target: memoryview, count: int) -> None:
        self.left -= count
        self.target = target[count:] or None

    def _into_the_room(self, count: int) -> None:
        self._filled += count
        if self.status:
            self.left -= count
        else:
            self._look_for_head()

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)

    # --- heads ----------------------------------------------------------------------------------

    def _look_for_head(self) -> None:
        while self._filled:
            if not self._room.startswith(_BEGINNING[: self._filled]):
                raise NoHttp("it begins otherwise")
            end = _HEAD_END.search(self._room, 0, self._filled)
            if end is None:
                if self._filled == ROOM:
                    raise NoHttp("its head does not end")
                return
            self._given = end.end()
            parser = HttpResponseParser(self)
            self.headers = Headers()
            try:
                parser.feed_data(self._view[: self._given])
            except (HttpParserError, HttpParserUpgrade) as error:
                raise NoHttp(str(error)) from None
            status = parser.get_status_code()
            if status >= 200:
                self._take_head(parser, status)
                return
            # An interim answer: the one that was asked for follows.
            self._filled -= self._given
            self._view[: self._filled] = self._view[self._given : self._given + self._filled]

    def _take_head(self, parser: HttpResponseParser, status: int) -> None:
        """Decide how the body will come."""
        self.status = status
        options = (self.headers.get("connection") or "").lower()
        # llhttp's own answer to this takes every answer for one to a GET.
        self.keep = "close" not in options and (parser.get_http_version() != "1.0" or "keep-alive" in options)
        announced = self.headers.get("content-length")
        if self._bodiless or status in (204, 304):
            self.length = 0
        elif announced is not None and "transfer-encoding" not in self.headers:
            self.length = int(announced)
        else:
            self.left, self._parser = -1, parser
            begun, self._filled = self._view[self._given : self._filled], self._given
            self._parse(parser, begun)
            return
        here = self._filled - self._given
        surplus = max(0, here - self.length)
        self._filled -= surplus
        self.left = self.length - (here - surplus)
        self._fits = self._filled + self.left <= ROOM
        if surplus:
            self.keep, self._unasked = False, True

    def _parse(self, parser: HttpResponseParser, data: memoryview) -> None:
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self.left:
                raise NoHttp(str(error)) from None
            self.keep = False  # what came behind the end is no answer

    # --- what the parser calls ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.status:
            self.keep = False  # more came than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer: nobody asks for one
        key, text = name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape").strip(" \t")
        known = self.headers.setdefault(key, text)
        if key == "connection" and known is not text:
            self.headers[key] = f"{known}, {text}"

    def on_body(self, data: bytes) -> None:
        if self.left:
            self._hold(data)

    def on_message_complete(self) -> None:
        if self._parser is not None:
            self.left = 0


def request(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request without a body.

    Raises:
        ValueError: a header holds an end of line.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError("a header holds an end of line")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
