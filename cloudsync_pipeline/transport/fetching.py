"""GET and HEAD of many objects, small and large: what `storage` reads with.

A client of its own, on asyncio's transports and llhttp, because receiving is what a sync does most: of aiohttp's CPU
time it takes two fifths for small objects and two thirds for large ones (`benchmarks/README.md`). It knows one kind of
request, and of HTTP what an answer to that may contain. Everything else goes through `http.HttpClient`; timeouts, TLS,
proxies and errors are the same in both.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from yarl import URL

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.transport.failures import Other
from cloudsync_pipeline.transport.settings import HttpSettings, check_address, proxy_from_environment, tls_context
from cloudsync_pipeline.transport.wire import Ended, Headers, NoHttp, Wire, request

_KEPT_SECONDS = 15.0
"""Seconds for which an idle connection is kept: servers commonly end them after 20 or more."""
_PIECE = 256 * 1024
_BROKEN = (NoHttp, Ended, OSError)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where requests of one scheme, host and port go.

    Attributes:
        place: scheme and authority.
        authority: host and port as in the URL.
        proxy: None where there is none on the way.
    """

    place: str
    authority: str
    host: str
    port: int
    tls: bool
    proxy: URL | None
    other: Other


class Fetcher:
    """A pool of connections to ask for things; made anywhere, used within one event loop, closed once.

    It does not retry, but for a connection that the other side closed while nobody used it; it does not follow
    redirects, keep cookies or decompress.

    Args:
        settings: how to connect.
        who: the other side in words, for error messages, such as "the storage".
    """

    def __init__(self, settings: HttpSettings, *, who: str) -> None:
        self.settings = settings
        self.who = who
        self._always = {"User-Agent": "cloudsync-pipeline", "Accept-Encoding": "identity", **settings.headers}
        self._origins: dict[str, _Origin] = {}
        self._tls: ssl.SSLContext | None = None
        self._slots = asyncio.Semaphore(settings.max_connections)
        self._idle: dict[str, list[Wire]] = {}
        self._busy: set[Wire] = set()

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
            sent |= _credentials(origin.proxy)
        wanted = request(method, target, sent)
        await self._slots.acquire()
        try:
            wire = await self._asked(origin, wanted, key, bodiless=method == "HEAD")
        except BaseException:
            self._slots.release()
            raise
        return Answer(self, origin, wire, key)

    async def _asked(self, origin: _Origin, wanted: bytes, key: str | None, *, bodiless: bool) -> Wire:
        while True:
            wire, kept = self._kept(origin), True
            if wire is None:
                wire, kept = await self._connected(origin, key), False
            self._busy.add(wire)
            try:
                await wire.ask(wanted, bodiless=bodiless)
            except BaseException as error:
                self._busy.discard(wire)
                closed_while_idle = kept and not wire.begun and isinstance(error, Ended | ConnectionError)
                if closed_while_idle:
                    continue
                if isinstance(error, _BROKEN):
                    raise _unanswered(error, origin.other, key) from error
                raise
            return wire

    def _kept(self, origin: _Origin) -> Wire | None:
        """A connection that was used before, the one used last."""
        idle = self._idle.get(origin.place, [])
        since = asyncio.get_running_loop().time() - _KEPT_SECONDS
        while idle:
            wire = idle.pop()
            if wire.usable and wire.idle_since > since:
                return wire
            wire.close()
        return None

    def give_back(self, origin: _Origin, wire: Wire) -> None:
        """For an answer that is done with."""
        self._busy.discard(wire)
        if wire.rest():
            self._idle.setdefault(origin.place, []).append(wire)
        self._slots.release()

    # --- connecting -----------------------------------------------------------------------------

    async def _connected(self, origin: _Origin, key: str | None) -> Wire:
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                return await (
                    self._direct(origin) if origin.proxy is None else self._through(origin, origin.proxy, key)
                )
        except CloudSyncError:
            raise
        except (OSError, Ended, NoHttp) as error:
            raise _unconnected(error, origin.other, key) from error

    async def _direct(self, origin: _Origin) -> Wire:
        return await self._to(origin.host, origin.port, tls=origin.tls)

    async def _to(self, host: str, port: int, *, tls: bool) -> Wire:
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(silence=self.settings.read_timeout),
            host,
            port,
            ssl=self._context() if tls else None,
            server_hostname=host if tls else None,
            happy_eyeballs_delay=0.25,
        )
        return wire

    async def _through(self, origin: _Origin, proxy: URL, key: str | None) -> Wire:
        """By way of a proxy: which passes requests on, or, for TLS, whatever is sent."""
        try:
            wire = await self._to(proxy.raw_host or "", proxy.port or 80, tls=proxy.scheme == "https")
        except OSError as error:
            raise origin.other.no_proxy(key) from error
        if not origin.tls:
            return wire
        try:
            await self._tunnel(wire, origin, proxy, key)
        except BaseException:
            wire.close()
            raise
        return wire

    async def _tunnel(self, wire: Wire, origin: _Origin, proxy: URL, key: str | None) -> None:
        there = f"{origin.host}:{origin.port}"
        asked = request("CONNECT", there, {"Host": there, "User-Agent": "cloudsync-pipeline", **_credentials(proxy)})
        try:
            await wire.ask(asked, bodiless=True)
        except _BROKEN as error:
            raise origin.other.no_proxy(key) from error
        if wire.status != 200:
            raise origin.other.proxy_refused(wire.status, key)
        secured = await asyncio.get_running_loop().start_tls(
            wire.transport, wire, self._context(), server_hostname=origin.host
        )
        if secured is None:
            raise Ended
        wire.secured(secured)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context(self.settings)
        return self._tls

    def _split(self, url: str) -> tuple[_Origin, str]:
        """Where a URL points to, and what is asked for there."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        place = f"{scheme}://{authority}"
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = self._origin(place)
        return origin, slash + path or "/"

    def _origin(self, place: str) -> _Origin:
        url = URL(place, encoded=True)
        check_address(url, who=self.who)
        host, port = url.raw_host or "", url.port or 80
        proxy = proxy_from_environment(url) if self.settings.trust_env else None
        shown_host = f"[{host}]" if ":" in host else host
        authority = shown_host if url.is_default_port() else f"{shown_host}:{port}"
        return _Origin(place, authority, host, port, url.scheme == "https", proxy, Other.at(self.who, url))

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
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

    def __init__(self, fetcher: Fetcher, origin: _Origin, wire: Wire, key: str | None) -> None:
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
        if self._wire is not None and (found := self._wire.arrived()) is not None and len(found) <= limit:
            return found
        if self.length is not None and self.length > limit:
            raise self._origin.other.too_long(limit, self._key)
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


def _credentials(proxy: URL) -> dict[str, str]:
    if proxy.user is None:
        return {}
    pair = f"{proxy.user}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def _unconnected(error: Exception, other: Other, key: str | None) -> CloudSyncError:
    if isinstance(error, TimeoutError):
        return other.no_connection_in_time(key)
    if isinstance(error, socket.gaierror):
        return other.unresolved(key)
    if isinstance(error, ssl.SSLCertVerificationError):
        return other.not_trusted(error, key)
    if isinstance(error, ssl.SSLError):
        return other.no_tls(error, key)
    return other.no_connection(error if isinstance(error, OSError) else ConnectionResetError(str(error)), key)


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
    return other.ended_early(key)
