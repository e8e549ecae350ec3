"""GET and HEAD of many objects, small and large: what `storage` reads with.

A client of its own, on asyncio's transports and llhttp, because receiving is what a sync does most: aiohttp takes half
as much CPU time again for it, and a sixth of a second to import (`benchmarks/README.md`). It knows one kind of request,
and of HTTP what an answer to that may contain. Everything else goes through `http.HttpClient`; timeouts, TLS, proxies
and errors are the same in both.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Self

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.transport.connecting import USER_AGENT, Connector, Origin, credentials
from cloudsync_pipeline.transport.failures import Other
from cloudsync_pipeline.transport.incoming import Headers, NoHttp, request
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.wire import Ended, Wire

_KEPT_SECONDS = 15.0
"""Seconds after which an idle connection is not used again: servers commonly end them after 20 or more."""
_PIECE = 256 * 1024
_BROKEN = (NoHttp, Ended, OSError)


class Fetcher:
    """A pool of connections to ask for things; made anywhere, used within one event loop, closed once.

    It does not retry, but for a connection that the other side closed while nobody used it; it does not follow
    redirects, keep cookies or decompress.

    Args:
        settings: how to connect.
        who: the other side in words, for error messages, such as "the storage".
    """

    def __init__(self, settings: HttpSettings, *, who: str) -> None:
        self.who = who
        self._always = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **settings.headers}
        self._connector = Connector(settings, who=who)
        self._origins: dict[str, Origin] = {}
        self._slots = asyncio.Semaphore(settings.max_connections)
        self._idle: dict[str, list[Wire]] = {}
        self._busy: set[Wire] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Fetcher(who={self.who!r})"

    def fetch(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, key: str | None = None
    ) -> Fetching:
        """Send a request; the answer, of whatever status, is open until the context ends.

        Args:
            method: GET or HEAD.
            url: absolute and percent-encoded; sent as it is.
            key: escaped key or path for error messages.

        Raises (on entering):
            TlsFailed, Unreachable: no connection, or it broke.
            AccessDenied: the proxy asks for credentials.
            BadAnswer: the answer is no HTTP.
            ConfigError: the URL or the proxy variable cannot be used.
        """
        return Fetching(self, method, url, headers, key)

    async def open(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, key: str | None = None
    ) -> Answer:
        """Like `fetch`, for a caller that ends the answer itself, whatever happens."""
        origin, target = self._split(url)
        sent = {"Host": origin.authority, **self._always, **(headers or {})}
        if origin.proxy is not None and not origin.tls:
            target = url
            sent |= credentials(origin.proxy)
        wanted = request(method, target, sent)
        await self._slots.acquire()
        try:
            wire = await self._asked(origin, wanted, key, bodiless=method == "HEAD")
        except BaseException:
            self._slots.release()
            raise
        return Answer(self, origin, wire, key)

    async def _asked(self, origin: Origin, wanted: bytes, key: str | None, *, bodiless: bool) -> Wire:
        while True:
            wire, kept = self._kept(origin), True
            if wire is None and not self._closed:
                wire, kept = await self._connector.connect(origin, key=key), False
            if wire is None or self._closed:
                if wire is not None:
                    wire.close()
                raise origin.other.no_answer(key)
            self._busy.add(wire)
            try:
                await wire.ask(wanted, bodiless=bodiless)
            except BaseException as error:
                self._busy.discard(wire)
                closed_while_idle = kept and not wire.begun and isinstance(error, Ended | ConnectionError)
                if closed_while_idle and not self._closed:
                    continue
                if isinstance(error, _BROKEN):
                    raise _unanswered(error, origin.other, key) from error
                raise
            return wire

    # --- connections at rest --------------------------------------------------------------------

    def _kept(self, origin: Origin) -> Wire | None:
        """A connection that was used before, the one used last."""
        idle = self._idle.get(origin.place, [])
        while idle:
            wire = idle.pop()
            if wire.usable and not self._is_old(wire):
                return wire
            wire.close()
        return None

    def give_back(self, origin: Origin, wire: Wire) -> None:
        """For an answer that is done with."""
        self._busy.discard(wire)
        if self._closed:
            wire.close()
        elif wire.release():
            self._idle.setdefault(origin.place, []).append(wire)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._close_old)
        self._slots.release()

    def _close_old(self) -> None:
        self._sweep = None
        for idle in self._idle.values():
            for wire in [wire for wire in idle if self._is_old(wire)]:
                idle.remove(wire)
                wire.close()
        if any(self._idle.values()):
            self._sweep = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._close_old)

    def _is_old(self, wire: Wire) -> bool:
        return asyncio.get_running_loop().time() - wire.idle_since > _KEPT_SECONDS

    def _split(self, url: str) -> tuple[Origin, str]:
        """Where a URL points to, and what is asked for there."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        place = f"{scheme}://{authority}"
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = self._connector.origin(place)
        return origin, slash + path or "/"

    async def close(self) -> None:
        """Close every connection, for good; a second call does nothing."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for wire in (*self._busy, *(wire for idle in self._idle.values() for wire in idle)):
            wire.close()
        self._idle.clear()
        # A transport's socket is closed one turn of the loop later.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class Answer:
    """An open answer.

    Attributes:
        headers: names in any case.
        length: announced bytes of the body; None where nothing is announced.
    """

    def __init__(self, fetcher: Fetcher, origin: Origin, wire: Wire, key: str | None) -> None:
        self.status = wire.status
        self.headers: Headers = wire.headers
        self.length = wire.length
        self._fetcher = fetcher
        self._origin = origin
        self._wire: Wire | None = wire
        self._key = key

    async def read_into(self, target: memoryview) -> int:
        """Fill a buffer with what comes next of the body; how many bytes: fewer than fit only at its end.

        Raises:
            BadAnswer: it ended before its announced length.
            Unreachable: the connection broke or went silent.
        """
        if self._wire is None:
            raise ValueError("the answer was ended")
        try:
            return await self._wire.read_into(target)
        except _BROKEN as error:
            raise _unfinished(error, self._origin.other, self._key) from error

    async def content(self, limit: int) -> bytes:
        """All that is left of the body.

        Raises:
            BadAnswer: it is longer than `limit` bytes, or ended before its announced length.
            Unreachable: the connection broke or went silent.
        """
        if self.length is not None and self.length > limit:
            raise self._origin.other.too_long(limit, self._key)
        if self._wire is not None and (found := self._wire.arrived()) is not None and len(found) <= limit:
            return found
        pieces: list[bytes] = []
        room = memoryview(bytearray(min(_PIECE, limit + 1)))
        total = 0
        while came := await self.read_into(room):
            total += came
            if total > limit:
                raise self._origin.other.too_long(limit, self._key)
            pieces.append(bytes(room[:came]))
        return b"".join(pieces)

    def end(self) -> None:
        """Be done with it; a second call does nothing."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._fetcher.give_back(self._origin, wire)


class Fetching:
    """A request and its open answer as a context."""

    def __init__(
        self, fetcher: Fetcher, method: str, url: str, headers: Mapping[str, str] | None, key: str | None
    ) -> None:
        self._fetcher = fetcher
        self._asked = (method, url, headers)
        self._key = key
        self._answer: Answer | None = None

    async def __aenter__(self) -> Answer:
        self._answer = await self._fetcher.open(*self._asked, key=self._key)
        return self._answer

    async def __aexit__(self, *exc: object) -> None:
        if self._answer is not None:
            self._answer.end()


def _unanswered(error: Exception, other: Other, key: str | None) -> CloudSyncError:
    if isinstance(error, TimeoutError):
        return other.silent(key)
    if isinstance(error, ssl.SSLError):
        return other.no_tls(error, key)
    if isinstance(error, NoHttp):
        return other.no_http(key)
    return other.no_answer(key) if isinstance(error, Ended) else other.broke(error, key)


def _unfinished(error: Exception, other: Other, key: str | None) -> CloudSyncError:
    if isinstance(error, TimeoutError):
        return other.silent(key)
    if isinstance(error, OSError):
        return other.broke_while_read(key)
    if isinstance(error, NoHttp):
        return other.no_http(key)
    return other.ended_early(key)
