"""Connections for `fetching`: to a host, or by way of the proxy that the environment names; plain or through TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.transport.failures import Other
from cloudsync_pipeline.transport.incoming import NoHttp, request
from cloudsync_pipeline.transport.settings import HttpSettings, check_address, proxy_from_environment, tls_context
from cloudsync_pipeline.transport.wire import Ended, Secured, Wire

USER_AGENT = "cloudsync-pipeline"
_BOTH_AT_ONCE = 0.25
"""Seconds after which a host's next address is tried beside the one before (RFC 8305)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests of one scheme, host and port go.

    Attributes:
        place: scheme and authority.
        authority: host and port as in a URL, without the scheme's own port.
        proxy: None where there is none on the way.
    """

    place: str
    authority: str
    host: str
    port: int
    tls: bool
    proxy: URL | None
    other: Other


class Connector:
    """How to reach origins.

    Args:
        who: the other side in words, such as "the storage".
    """

    def __init__(self, settings: HttpSettings, *, who: str) -> None:
        self._settings = settings
        self._who = who
        self._context: ssl.SSLContext | None = None

    def origin(self, place: str) -> Origin:
        """What is known of `scheme://authority`.

        Raises:
            ConfigError: it is no address, or the proxy variable holds none.
        """
        url = URL(place, encoded=True)
        check_address(url, who=self._who)
        proxy = proxy_from_environment(url) if self._settings.trust_env else None
        host, port = url.raw_host or "", url.port or 80
        shown = _in_url(host)
        authority = shown if url.is_default_port() else f"{shown}:{port}"
        return Origin(place, authority, host, port, url.scheme == "https", proxy, Other.at(self._who, url))

    async def connect(self, origin: Origin, *, key: str | None) -> Wire:
        """A new connection.

        Raises:
            TlsFailed, Unreachable: there is none.
            AccessDenied: the proxy asks for credentials.
            ConfigError: a file of the settings cannot be used.
        """
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                if origin.proxy is None:
                    return await self._to(origin.host, origin.port, tls=origin.tls)
                return await self._through(origin, origin.proxy, key)
        except (OSError, Ended, NoHttp, UnicodeError) as error:
            raise _unconnected(error, origin.other, key) from error

    async def _to(self, host: str, port: int, *, tls: bool) -> Wire:
        wire = Wire(silence=self._settings.read_timeout)
        made: Callable[[], asyncio.BaseProtocol] = (lambda: Secured(wire)) if tls else (lambda: wire)
        await asyncio.get_running_loop().create_connection(
            made,
            host,
            port,
            ssl=self._tls() if tls else None,
            server_hostname=host if tls else None,
            happy_eyeballs_delay=_BOTH_AT_ONCE,
        )
        return wire

    async def _through(self, origin: Origin, proxy: URL, key: str | None) -> Wire:
        """By way of a proxy: which passes requests on, or, for TLS, whatever is sent."""
        the_proxy = Other("the proxy", f"the proxy on the way to {origin.other.where}", tls=True)
        try:
            wire = await self._to(proxy.raw_host or "", proxy.port or 80, tls=proxy.scheme == "https")
        except ssl.SSLError as error:
            raise _unconnected(error, the_proxy, key) from error
        except (OSError, UnicodeError) as error:
            raise origin.other.no_proxy(key) from error
        if not origin.tls:
            return wire
        try:
            await self._tunnel(wire, origin, proxy, key)
        except BaseException:
            wire.close()
            raise
        return wire

    async def _tunnel(self, wire: Wire, origin: Origin, proxy: URL, key: str | None) -> None:
        there = f"{_in_url(origin.host)}:{origin.port}"
        asked = request("CONNECT", there, {"Host": there, "User-Agent": USER_AGENT, **credentials(proxy)})
        try:
            await wire.ask(asked, bodiless=True)
        except (OSError, Ended, NoHttp) as error:
            raise origin.other.no_proxy(key) from error
        if wire.status != 200:
            raise origin.other.proxy_refused(wire.status, key)
        try:
            through = await asyncio.get_running_loop().start_tls(
                wire.transport, Secured(wire), self._tls(), server_hostname=origin.host
            )
        except TypeError as error:
            # asyncio until 3.11 stumbles like this over a handshake that fails inside of another TLS.
            raise ConnectionAbortedError("the handshake failed") from error
        if through is None:
            raise Ended
        wire.secured(through)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = tls_context(self._settings)
        return self._context


def credentials(proxy: URL) -> dict[str, str]:
    """The header for a proxy whose URL has a user; none where it has not."""
    if proxy.user is None:
        return {}
    pair = f"{proxy.user}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _unconnected(error: Exception, other: Other, key: str | None) -> CloudSyncError:
    if isinstance(error, TimeoutError):
        return other.no_connection_in_time(key)
    if isinstance(error, socket.gaierror | UnicodeError):
        return other.unresolved(key)
    if isinstance(error, ssl.SSLCertVerificationError):
        return other.not_trusted(error, key)
    if isinstance(error, ssl.SSLError):
        return other.no_tls(error, key)
    if not isinstance(error, OSError):
        return other.no_connection(ConnectionResetError(0, "it was closed"), key)
    if error.errno is None and not isinstance(error, ConnectionError):
        # asyncio puts the errors of several addresses together into a text.
        return other.no_connection(OSError(0, "none of its addresses accepts one"), key)
    return other.no_connection(error, key)
