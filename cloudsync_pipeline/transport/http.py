"""The HTTP client of every adapter but storages: one policy of timeouts, TLS and proxies, our errors only.

It does not retry, follow redirects, keep cookies or decompress: what an answer means is the adapter's business,
and whether to ask again the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.transport.auth import Auth
from cloudsync_pipeline.transport.failures import shown
from cloudsync_pipeline.transport.http_failures import translated
from cloudsync_pipeline.transport.settings import HttpSettings, check_address, proxy_from_environment, tls_context

CHUNK = 256 * 1024
"""Bytes that are buffered ahead of a reader, at most about twice that."""


class HttpClient:
    """A pool of connections and how to use them; made anywhere, used within one event loop, closed once.

    Args:
        settings: how to connect.
        who: the other side in words, for error messages, such as "the file manager".
        auth: added to every request, or None.
    """

    def __init__(self, settings: HttpSettings, *, who: str, auth: Auth | None = None) -> None:
        self.settings = settings
        self.who = who
        self._auth = auth
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[URL, URL | None] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._always = {"Accept-Encoding": "identity", "User-Agent": "cloudsync-pipeline", **settings.headers}

    def __repr__(self) -> str:
        return f"HttpClient(who={self.who!r})"

    def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        key: str | None = None,
        total_timeout: float | None = None,
    ) -> Opened:
        """Send a request; the answer, of whatever status, is open until the context ends.

        What aiohttp raises while the answer is read inside the context is translated too.

        Args:
            url: sent exactly as given if it was made with `encoded=True`; otherwise yarl normalizes it.
            data: bytes, a form, or an async iterator. An error of ours raised by the iterator aborts the
                connection and comes out of here as it is.
            key: escaped key or path for error messages.
            total_timeout: seconds for everything from sending to the end of the context; None for no limit.

        Raises (on entering):
            TlsFailed, Unreachable: no connection, or it broke.
            AccessDenied: the proxy asks for credentials.
            BadAnswer: the answer is no HTTP, or ended early.
            ConfigError: the URL or the proxy variable cannot be used.
        """
        send = partial(self._send, method, url, headers=headers, data=data, key=key, total_timeout=total_timeout)
        return Opened(self, send, url, key)

    async def _send(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        key: str | None = None,
        total_timeout: float | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer, which `Opened` ends."""
        check_address(url, who=self.who)
        session = self._open()
        try:
            return await session.request(
                method,
                url,
                headers=self._headers(headers),
                data=data,
                allow_redirects=False,
                timeout=self._timeout(total_timeout),
                proxy=self._proxy(url),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise translated(error, who=self.who, url=url, key=key) from error

    async def pieces(
        self, response: aiohttp.ClientResponse, *, largest: int, key: str | None = None
    ) -> AsyncIterator[bytes]:
        """The body of an open answer as it comes, for whoever passes it on.

        Its errors are translated here: inside another request's body they would look like that one's failure.

        Args:
            largest: bytes a piece at most.

        Raises:
            BadAnswer: it ended before its announced length.
            Unreachable: the connection broke or went silent.
        """
        try:
            async for piece in response.content.iter_chunked(largest):
                yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise translated(error, who=self.who, url=response.url, key=key) from error

    def _headers(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        own = {} if self._auth is None else self._auth.headers()
        return {**self._always, **own, **(extra or {})}

    def _timeout(self, total: float | None) -> aiohttp.ClientTimeout:
        # `connect` stays unset: it would count the wait for a free connection of our own pool.
        timeout = self._timeouts.get(total)
        if timeout is None:
            timeout = self._timeouts[total] = aiohttp.ClientTimeout(
                total=total, sock_connect=self.settings.connect_timeout, sock_read=self.settings.read_timeout
            )
        return timeout

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.settings.max_connections, ssl=tls_context(self.settings)),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=CHUNK,
            )
        return self._session

    def _proxy(self, url: URL) -> URL | None:
        if not self.settings.trust_env:
            return None
        origin = url.origin()
        if origin not in self._proxies:
            self._proxies[origin] = proxy_from_environment(origin)
        return self._proxies[origin]

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            # TLS transports close one turn of the loop later (aiohttp, "Graceful Shutdown").
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class Opened:
    """A request and its open answer as a context; a class, because a generator costs every small file more."""

    def __init__(
        self, client: HttpClient, send: Callable[[], Awaitable[aiohttp.ClientResponse]], url: URL, key: str | None
    ) -> None:
        self._client = client
        self._send = send
        self._url = url
        self._key = key
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        self._response = await self._send()
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._response is not None:
            # An answer that was not read to its end would be in the way of the next one on its connection.
            if self._response.content.at_eof():
                self._response.release()
            else:
                self._response.close()
        if isinstance(error, aiohttp.ClientError | TimeoutError):
            raise translated(error, who=self._client.who, url=self._url, key=self._key) from error


async def read_limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body of a small answer.

    Raises:
        BadAnswer: it is longer than `limit` bytes.
    """
    parts: list[bytes] = []
    length = 0
    async for part in response.content.iter_any():
        parts.append(part)
        length += len(part)
        if length > limit:
            raise BadAnswer(f"the answer of {shown(response.url)} is longer than {limit} bytes")
    return b"".join(parts)
