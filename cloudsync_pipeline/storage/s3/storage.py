"""An S3 bucket as a storage: signed requests in, objects and bytes out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import aiohttp
import pyarrow as pa
from yarl import URL

from cloudsync_pipeline.core.errors import (
    BadAnswer,
    IncompleteListing,
    PreconditionFailed,
    RemoteError,
    Unavailable,
)
from cloudsync_pipeline.core.keys import unescape_bytes
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.core.retry import delay_before
from cloudsync_pipeline.storage.base import StorageCapabilities
from cloudsync_pipeline.storage.s3.answer import Span, described, span_of
from cloudsync_pipeline.storage.s3.errors import s3_error
from cloudsync_pipeline.storage.s3.listing import Page, parse_page, to_batch
from cloudsync_pipeline.storage.s3.settings import S3Address, S3Settings
from cloudsync_pipeline.storage.s3.walk import walk
from cloudsync_pipeline.transport.clock import ServerClock
from cloudsync_pipeline.transport.failures import http_date
from cloudsync_pipeline.transport.http import HttpClient, read_limited
from cloudsync_pipeline.transport.sigv4 import Signer

_PIECE = 1024 * 1024
_LARGEST_PAGE = 32 * 1024 * 1024
_LARGEST_ERROR = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Answer:
    """An open answer and the moment it was asked for, by the storage's clock."""

    response: aiohttp.ClientResponse
    asked_at: datetime


class S3Storage:
    """See `storage.base.Storage`; made anywhere, used within one event loop.

    `observed_at` is the moment of the request by the storage's clock (`transport.clock`).

    Args:
        pause: waits between the tries of a page; a test gives one that does not wait.

    Raises:
        ConfigError: the settings contradict each other, or name a profile that does not exist.
    """

    def __init__(self, settings: S3Settings, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._settings = settings
        self._address = S3Address(settings)
        self._signer = Signer(settings.credentials, region=self._address.region)
        self._http = HttpClient(settings.http, who="the storage")
        self._clock = ServerClock()
        self._root = settings.root
        self._pause = pause

    def __repr__(self) -> str:
        return f"S3Storage(bucket={self._settings.bucket!r}, prefix={self._settings.prefix!r})"

    @property
    def capabilities(self) -> StorageCapabilities:
        return StorageCapabilities(etag_may_be_md5=self._address.vendor.md5_etag)

    @property
    def identity(self) -> Mapping[str, str]:
        return {
            "type": "s3",
            "endpoint": self._address.identity,
            "bucket": self._settings.bucket,
            "prefix": self._settings.prefix,
        }

    async def list(self, prefix: str = "") -> AsyncIterator[pa.RecordBatch]:
        """See `Storage.list`; large buckets folder by folder at once, which changes the order only."""
        parallelism = self._settings.listing_parallelism
        async with aclosing(walk(self._patient_page, self._root + prefix, parallelism=parallelism)) as pages:
            async for page in pages:
                batch = to_batch(page, root=self._root)
                if batch is not None:
                    yield batch

    async def _patient_page(self, prefix: str, folders: bool, token: str | None) -> Page:
        attempts = self._settings.page_attempts
        for attempt in range(1, attempts + 1):
            try:
                return await self._page(prefix, folders=folders, token=token)
            except RemoteError as error:
                if not error.retryable:
                    raise
                if attempt == attempts:
                    raise IncompleteListing(
                        f"the listing broke off after {attempts} tries of one page: {error.message}",
                        remedy=error.remedy,
                        retry_after=error.retry_after,
                    ) from error
                jitter = random.random()
                await self._pause(delay_before(attempt + 1, jitter=jitter, retry_after=error.retry_after))
        raise AssertionError("page_attempts is at least 1")

    async def _page(
        self, prefix: str, *, folders: bool = False, token: str | None = None, size: int | None = None
    ) -> Page:
        query = {
            "list-type": b"2",
            "encoding-type": b"url",
            "max-keys": str(size or self._settings.page_size).encode(),
            "prefix": unescape_bytes(prefix),
        }
        if folders:
            query["delimiter"] = b"/"
        if token is not None:
            query["continuation-token"] = token.encode()
        what = f"listing bucket {self._settings.bucket!r}"
        async with self._send("GET", self._address.of_bucket(query)) as answer:
            body = await read_limited(answer.response, _LARGEST_PAGE)
            if answer.response.status != 200:
                raise s3_error(answer.response.status, body, answer.response.headers, what=what)
        return parse_page(body, prefix=prefix, observed_at=answer.asked_at)

    async def head(self, key: str) -> StorageObject:
        """See `Storage.head`.

        A refusal is asked for again by GET: a HEAD has no body to tell a missing key from a missing bucket.
        """
        async with self._send("HEAD", self._address.of_key(self._root + key), key=key) as answer:
            if answer.response.status == 200:
                return described(answer.response.headers, key, answer.asked_at, self._address.vendor)
            if _needs_no_body(answer.response):
                raise await self._refusal(answer.response, key)
        headers = {"Range": "bytes=0-0"}
        async with self._send("GET", self._address.of_key(self._root + key), headers, key=key) as answer:
            if answer.response.status in (200, 206):
                return described(answer.response.headers, key, answer.asked_at, self._address.vendor)
            if answer.response.status == 416:
                raise Unavailable("the object was there, gone and there again while it was asked for", key=key)
            raise await self._refusal(answer.response, key)

    @asynccontextmanager
    async def read(
        self, key: str, *, if_match: str | None = None, start: int = 0, length: int | None = None
    ) -> AsyncIterator[S3Body]:
        """See `Storage.read`.

        Raises:
            Rejected: the object ends before `start`.
            ValueError: `start` is negative, or `length` less than 1.
        """
        span = Span(start, length)
        headers = span.headers()
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        async with self._send("GET", self._address.of_key(self._root + key), headers, key=key) as answer:
            response = answer.response
            if response.status == 416 and start == 0:
                # No range of an empty object can be satisfied.
                async with self.read(key, if_match=if_match) as body:
                    if body.object.size:
                        raise PreconditionFailed("the object changed while it was opened", key=key)
                    yield body
                return
            if response.status not in (200, 206):
                raise await self._refusal(response, key)
            found = described(response.headers, key, answer.asked_at, self._address.vendor)
            if if_match is not None and found.etag != if_match:
                raise PreconditionFailed("the object is another version than the one asked for", key=key)
            expected = span_of(response, span, found.size, key)
            yield S3Body(found, self._http.pieces(response, largest=_PIECE, key=key), expected)

    async def health(self) -> None:
        """See `Storage.health`: lists one key."""
        await self._page(self._root, size=1)

    async def _refusal(self, response: aiohttp.ClientResponse, key: str) -> RemoteError:
        body = await read_limited(response, _LARGEST_ERROR)
        what = f"reading from bucket {self._settings.bucket!r}"
        return s3_error(response.status, body, response.headers, what=what, key=key)

    @asynccontextmanager
    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, key: str | None = None
    ) -> AsyncIterator[_Answer]:
        signed = await self._signer.sign(method, url, {})
        # Not signed: some proxies rewrite it on the way.
        signed |= {"Accept-Encoding": self._address.vendor.raw_encoding, **(headers or {})}
        sent = datetime.now(UTC)
        async with self._http.request(method, URL(url, encoded=True), headers=signed, key=key) as response:
            received = datetime.now(UTC)
            self._clock.learn(sent=sent, received=received, date=http_date(response.headers.get("Date")))
            yield _Answer(response, self._clock.at(sent))

    async def close(self) -> None:
        """See `Storage.close`."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _needs_no_body(response: aiohttp.ClientResponse) -> bool:
    """Whether a refused HEAD is clear as it is; a server in trouble is not asked a second time."""
    deleted = response.status == 404 and response.headers.get("x-amz-delete-marker") == "true"
    return deleted or response.status == 429 or response.status >= 500


class S3Body:
    """See `storage.base.ObjectBody`."""

    def __init__(self, found: StorageObject, pieces: AsyncIterator[bytes], length: int) -> None:
        self.object = found
        self._pieces = pieces
        self._length = length

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `ObjectBody.chunks`."""
        seen = 0
        async for piece in self._pieces:
            seen += len(piece)
            if seen > self._length:
                break
            yield piece
        if seen != self._length:
            raise BadAnswer(f"the body has not the {self._length} bytes that were announced", key=self.object.key)
