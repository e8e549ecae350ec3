"""Calls of the HTTP API: sent, answered from 200 to 299, or raised as the project's errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from cloudsync_pipeline.core.errors import BadAnswer, CloudSyncError, Unreachable
from cloudsync_pipeline.core.records import Piece
from cloudsync_pipeline.file_managers.http_answers import refusal
from cloudsync_pipeline.file_managers.http_last_words import StreamedUpload
from cloudsync_pipeline.file_managers.http_settings import HttpApiSettings, call_url, secrets_of
from cloudsync_pipeline.file_managers.multipart import FileForm, Form
from cloudsync_pipeline.transport.http import HttpClient, read_limited

_MOST_ANSWER = 16 * 1024 * 1024
"""Bytes of an answer that is read at once: a page of 1,000 files with long paths and metadata fits."""
_MOST_REFUSAL = 64 * 1024
_READ = 256 * 1024
_SMALL = 256 * 1024
"""Bytes up to which content is gathered first: it is sent in one piece, and not at all where it fails."""


class _Aborted(Exception):
    """Breaks a request off; stands in for the content's own error, which must come out untouched."""


class Body:
    """An upload's form on its way, and what became of its content.

    Args:
        form: what is sent.
        chunks: the content.
        content: all of it, where it is in memory already.
        hashing: compute the MD5 of the content.

    Attributes:
        failure: the error that the content ended with.
    """

    def __init__(
        self, form: FileForm, chunks: AsyncIterator[Piece], content: bytes | None = None, *, hashing: bool
    ) -> None:
        self.form = form
        self.failure: Exception | None = None
        self._chunks = chunks
        self._whole = content
        self._md5 = hashlib.md5(usedforsecurity=False) if hashing else None
        self._idle = asyncio.Event()
        self._idle.set()
        self._patience: asyncio.Timeout | None = None
        self._stall = 0.0

    @property
    def md5(self) -> str | None:
        return None if self._md5 is None else self._md5.hexdigest()

    async def gathered(self) -> bytes:
        """The whole form at once; raises what the content raises."""
        if self._whole is not None:
            if self._md5 is not None:
                self._md5.update(self._whole)
            return self.form.whole(self._whole)
        return b"".join([piece async for piece in self.form.streamed(self._content())])

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The form for aiohttp to send."""
        try:
            async for piece in self.form.streamed(self._content()):
                self._wait_for_peer(self._stall)
                yield piece
                self._wait_for_peer(None)
                # An early answer that has arrived must be seen before the next write meets the closed connection.
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - kept whole, and raised by `upload`
            self.failure = error
            raise _Aborted from None

    @asynccontextmanager
    async def under_way(self, stall: float) -> AsyncIterator[None]:
        """While the form is sent: nobody uses the content any more when this ends.

        Args:
            stall: seconds that the other side may take no byte.

        Raises:
            TimeoutError: it took none for longer.
        """
        self._stall = stall
        try:
            async with asyncio.timeout(None) as self._patience:
                yield
        finally:
            self._patience = None
            # After an early answer, aiohttp's writing task ends a little later than the request.
            await self._idle.wait()

    async def _content(self) -> AsyncIterator[Piece]:
        while True:
            self._idle.clear()
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return
            finally:
                self._idle.set()
            if self._md5 is not None:
                self._md5.update(chunk)
            yield chunk

    def _wait_for_peer(self, seconds: float | None) -> None:
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


class Calls:
    """See the module's docstring.

    Args:
        settings: where and how.
        who: the other side in words.
    """

    def __init__(self, settings: HttpApiSettings, who: str) -> None:
        self._settings = settings
        self._who = who
        self._http = HttpClient(settings.http, who=who, auth=settings.auth)
        self._reporting = _reporting_client(settings, self._http)
        self._secrets = secrets_of(settings)

    async def ask(self, call: str, *, what: str) -> bytes:
        """`GET`. `call` begins with a slash and is percent-encoded; `what` names the answer in errors."""
        url = call_url(self._settings, call)
        async with self._http.request("GET", url, total_timeout=self._settings.timeout) as answer:
            return await self._accepted(answer, what, None)

    async def send(self, call: str, form: Form, *, what: str, key: str) -> bytes:
        """`POST` a form without a file."""
        async with self._http.request(
            "POST",
            call_url(self._settings, call),
            headers={"Content-Type": form.content_type},
            data=form.encoded(),
            key=key,
            total_timeout=self._settings.timeout,
        ) as answer:
            return await self._accepted(answer, what, key)

    async def upload(self, call: str, body: Body, *, what: str, key: str) -> bytes:
        """`POST` a form with a file. What the content raises comes out untouched, and the connection is aborted."""
        form = body.form
        if form.content_length <= _SMALL:
            data: bytes | StreamedUpload = await body.gathered()
        else:
            data = StreamedUpload(body.pieces())
        stall = self._settings.http.read_timeout
        result: bytes | CloudSyncError
        try:
            async with (
                body.under_way(stall),
                self._http.request(
                    "POST",
                    call_url(self._settings, call),
                    headers={"Content-Type": form.content_type, "Content-Length": str(form.content_length)},
                    data=data,
                    key=key,
                ) as answer,
            ):
                result = await self._accepted(answer, what, key)
        except TimeoutError as error:
            raise Unreachable(f"{self._who} took no content for {stall:g} seconds", key=key) from error
        except CloudSyncError as error:
            result = error
            if isinstance(error, Unreachable) and isinstance(data, StreamedUpload):
                result = self._last_words(data, what, key) or error
        finally:
            if isinstance(data, StreamedUpload):
                data.forget()
        if body.failure is not None:
            raise body.failure
        if isinstance(result, CloudSyncError):
            raise result
        if not form.complete:
            raise BadAnswer(f"{what} came before the content was sent.", key=key)
        return result

    @asynccontextmanager
    async def download(self, call: str, *, what: str, key: str) -> AsyncIterator[AsyncIterator[Piece]]:
        """`GET` of any length; the pieces have at most 256 KiB."""
        async with self._http.request("GET", call_url(self._settings, call), key=key) as answer:
            if answer.status != 200:
                raise await self._refused(answer, what, key)
            yield self._http.pieces(answer, largest=_READ, key=key)

    async def report(self, results: Mapping[str, Any]) -> None:
        """`POST` the results as JSON to the reporting URL, or to `/reportResults`."""
        own = self._settings.reporting_url
        async with self._reporting.request(
            "POST",
            URL(own) if own is not None else call_url(self._settings, "/reportResults"),
            data=json.dumps(results, default=str).encode(),
            headers={"Content-Type": "application/json"},
            total_timeout=self._settings.timeout,
        ) as answer:
            await self._accepted(answer, "The answer to the report", None)

    async def close(self) -> None:
        await self._http.close()
        await self._reporting.close()

    async def _accepted(self, answer: aiohttp.ClientResponse, what: str, key: str | None) -> bytes:
        if not 200 <= answer.status < 300:
            raise await self._refused(answer, what, key)
        return await read_limited(answer, _MOST_ANSWER)

    async def _refused(self, answer: aiohttp.ClientResponse, what: str, key: str | None) -> CloudSyncError:
        try:
            body = await read_limited(answer, _MOST_REFUSAL)
        except (BadAnswer, aiohttp.ClientError, TimeoutError):
            body = b""  # the status alone says enough
        return refusal(answer.status, answer.headers, body, what=what, key=key, secrets=self._secrets)

    def _last_words(self, data: StreamedUpload, what: str, key: str) -> CloudSyncError | None:
        said = data.last_words()
        if said is None or 200 <= said.status < 300:
            return None
        headers = CIMultiDict(said.headers)
        return refusal(said.status, headers, said.body, what=what, key=key, secrets=self._secrets)


def _reporting_client(settings: HttpApiSettings, own: HttpClient) -> HttpClient:
    """Results may go elsewhere, and then none of the file manager's secrets go along."""
    if settings.reporting_url is None:
        return own
    if URL(settings.reporting_url).origin() == URL(settings.base_url).origin():
        return own
    http = replace(settings.http, headers={}, client_cert_file=None, client_key_file=None)
    return HttpClient(http, who="the receiver of reports", auth=settings.reporting_auth)
