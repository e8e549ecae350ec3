"""An S3 bucket as a storage: signed requests in, objects and bytes out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Self

import pyarrow as pa

from cloudsync_pipeline.core.errors import IncompleteListing, RemoteError, Unavailable
from cloudsync_pipeline.core.keys import unescape_bytes
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.core.retry import LONGEST_DELAY, delay_before
from cloudsync_pipeline.storage.base import ObjectBody, StorageCapabilities
from cloudsync_pipeline.storage.s3.ahead import Ahead, glimpsed_token
from cloudsync_pipeline.storage.s3.answer import Span, described
from cloudsync_pipeline.storage.s3.errors import s3_error
from cloudsync_pipeline.storage.s3.listing import Page, parse_page, to_batch
from cloudsync_pipeline.storage.s3.ranges import Room
from cloudsync_pipeline.storage.s3.reading import Asked, Asking, Reading
from cloudsync_pipeline.storage.s3.settings import S3Address, S3Settings
from cloudsync_pipeline.storage.s3.walk import walk
from cloudsync_pipeline.transport.clock import ServerClock
from cloudsync_pipeline.transport.failures import http_date
from cloudsync_pipeline.transport.fetching import Answer, Fetcher
from cloudsync_pipeline.transport.sigv4 import Signer

_PARTS_IN_MEMORY = 8
"""Parts of large objects that are read ahead at once, over all reads: 32 MiB."""
_LARGEST_PAGE = 32 * 1024 * 1024
_LARGEST_ERROR = 256 * 1024


@dataclass(frozen=True, slots=True)
class _PageBody:
    """A page of a listing that was not read yet, and the moment it was asked for."""

    body: bytes
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
        self._fetcher = Fetcher(settings.http, who="the storage")
        self._capabilities = StorageCapabilities(etag_may_be_md5=self._address.vendor.md5_etag)
        self._clock = ServerClock()
        self._root = settings.root
        self._pause = pause
        self._asking = Asking(self._address.vendor, self._get, self._refusal, Room(_PARTS_IN_MEMORY))

    def __repr__(self) -> str:
        return f"S3Storage(bucket={self._settings.bucket!r}, prefix={self._settings.prefix!r})"

    @property
    def capabilities(self) -> StorageCapabilities:
        return self._capabilities

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
        ahead = Ahead(self._continued)
        fetch = partial(self._patient_page, ahead)
        try:
            async with aclosing(walk(fetch, self._root + prefix, parallelism=parallelism)) as pages:
                async for page in pages:
                    batch = to_batch(page, root=self._root)
                    if batch is not None:
                        yield batch
        finally:
            await ahead.close()

    async def _patient_page(self, ahead: Ahead[_PageBody], prefix: str, folders: bool, token: str | None) -> Page:
        attempts = self._settings.page_attempts
        for attempt in range(1, attempts + 1):
            try:
                return await self._page(ahead, prefix, folders, token)
            except RemoteError as error:
                if not error.retryable:
                    raise
                wait = delay_before(attempt + 1, jitter=random.random(), retry_after=error.retry_after)
                if attempt == attempts or wait > LONGEST_DELAY:
                    raise IncompleteListing(
                        f"the listing broke off after {attempt} tries of one page: {error.message}",
                        remedy=error.remedy,
                        retry_after=error.retry_after,
                    ) from error
                await self._pause(wait)
        raise AssertionError("page_attempts is at least 1")

    async def _page(self, ahead: Ahead[_PageBody], prefix: str, folders: bool, token: str | None) -> Page:
        if token is None:
            found = await self._page_body(prefix, folders=folders)
        else:
            found = await ahead.take(prefix, token)
            following = glimpsed_token(found.body)
            if following is not None and following != token:
                await ahead.start(prefix, following)
        return parse_page(found.body, prefix=prefix, observed_at=found.asked_at)

    async def _continued(self, prefix: str, token: str) -> _PageBody:
        return await self._page_body(prefix, token=token)

    async def _page_body(
        self, prefix: str, *, folders: bool = False, token: str | None = None, size: int | None = None
    ) -> _PageBody:
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
            body = await answer.response.content(_LARGEST_PAGE)
            if answer.response.status != 200:
                raise s3_error(answer.response.status, body, answer.response.headers, what=what)
        return _PageBody(body, answer.asked_at)

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

    def read(
        self, key: str, *, if_match: str | None = None, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """See `Storage.read`.

        Raises:
            Rejected: the object ends before `start`.
            ValueError: `start` is negative, or `length` less than 1.
        """
        return Reading(self._asking, key, if_match, Span(start, length))

    async def health(self) -> None:
        """See `Storage.health`: lists one key."""
        found = await self._page_body(self._root, size=1)
        parse_page(found.body, prefix=self._root, observed_at=found.asked_at)

    async def _refusal(self, response: Answer, key: str) -> RemoteError:
        body = await response.content(_LARGEST_ERROR)
        what = f"reading from bucket {self._settings.bucket!r}"
        return s3_error(response.status, body, response.headers, what=what, key=key)

    @asynccontextmanager
    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, key: str | None = None
    ) -> AsyncIterator[Asked]:
        signed = await self._signed(method, url, headers)
        sent = datetime.now(UTC)
        async with self._fetcher.fetch(method, url, signed, key=key) as response:
            yield self._asked(response, sent)

    async def _get(self, key: str, headers: Mapping[str, str]) -> Asked:
        url = self._address.of_key(self._root + key)
        signed = await self._signed("GET", url, headers)
        sent = datetime.now(UTC)
        return self._asked(await self._fetcher.open("GET", url, signed, key=key), sent)

    async def _signed(self, method: str, url: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        signed = await self._signer.sign(method, url, {})
        # Not signed: some proxies rewrite it on the way.
        return signed | {"Accept-Encoding": self._address.vendor.raw_encoding, **(headers or {})}

    def _asked(self, response: Answer, sent: datetime) -> Asked:
        self._clock.learn(sent=sent, received=datetime.now(UTC), date=http_date(response.headers.get("Date")))
        return Asked(response, self._clock.at(sent))

    async def close(self) -> None:
        """See `Storage.close`."""
        await self._fetcher.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _needs_no_body(response: Answer) -> bool:
    """Whether a refused HEAD is clear as it is; a server in trouble is not asked a second time."""
    deleted = response.status == 404 and response.headers.get("x-amz-delete-marker") == "true"
    return deleted or response.status == 429 or response.status >= 500
