"""One object being read: a small one is there at once, a large one comes in pieces, a very large one by parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType

from cloudsync_pipeline.core.errors import BadAnswer, PreconditionFailed, RemoteError
from cloudsync_pipeline.core.records import Piece, StorageObject
from cloudsync_pipeline.storage.base import ObjectBody
from cloudsync_pipeline.storage.s3.answer import Span, described, span_of
from cloudsync_pipeline.storage.s3.ranges import WORTH_IT, PartedBody, Room
from cloudsync_pipeline.storage.s3.vendors import Vendor
from cloudsync_pipeline.transport.fetching import Answer

SMALL = 64 * 1024
"""Bytes up to which a body is read by one call: every step of a generator costs as much as 8 KiB on their way."""
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """An open answer and the moment it was asked for, by the storage's clock."""

    response: Answer
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Asking:
    """How a bucket is asked.

    Attributes:
        get: (key, extra headers) to the answer of a GET, of whatever status; the caller ends it.
        refused: (answer, key) to the error that the answer stands for.
        room: of the parts that are in memory, over all reads.
    """

    vendor: Vendor
    get: Callable[[str, dict[str, str]], Awaitable[Asked]]
    refused: Callable[[Answer, str], Awaitable[RemoteError]]
    room: Room


class S3Body:
    """See `storage.base.ObjectBody`."""

    def __init__(
        self, found: StorageObject, pieces: AsyncIterator[Piece] | None, length: int, content: bytes | None = None
    ) -> None:
        self.object = found
        self.content = content
        self._pieces = pieces
        self._length = length

    async def chunks(self) -> AsyncIterator[Piece]:
        """See `ObjectBody.chunks`."""
        if self._pieces is None:
            if self.content:
                yield self.content
            return
        seen = 0
        async for piece in self._pieces:
            seen += len(piece)
            if seen > self._length:
                break
            yield piece
        if seen != self._length:
            raise BadAnswer(f"the body has not the {self._length} bytes that were announced", key=self.object.key)


class Reading:
    """What `S3Storage.read` returns: opened by entering, ended by leaving.

    A class, not a generator: ten thousand small files feel the difference.
    """

    def __init__(self, asking: Asking, key: str, if_match: str | None, span: Span) -> None:
        self._asking = asking
        self._key = key
        self._if_match = if_match
        self._span = span
        self._response: Answer | None = None
        self._parted: PartedBody | None = None

    async def __aenter__(self) -> ObjectBody:
        headers = self._span.headers()
        if self._if_match is not None:
            headers["If-Match"] = f'"{self._if_match}"'
        answer = await self._asking.get(self._key, headers)
        self._response = answer.response
        try:
            return await self._body(answer)
        except BaseException:
            self._end()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if self._parted is not None:
                await self._parted.close()
        finally:
            self._end()

    def _end(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.end()

    async def _body(self, answer: Asked) -> ObjectBody:
        response, key, span = answer.response, self._key, self._span
        if response.status == 416 and span.start == 0:
            # No range of an empty object can be satisfied.
            self._end()
            async with Reading(self._asking, key, self._if_match, Span()) as whole:
                if whole.object.size:
                    raise PreconditionFailed("the object changed while it was opened", key=key)
                return S3Body(whole.object, None, 0, b"")
        if response.status not in (200, 206):
            raise await self._asking.refused(response, key)
        found = described(response.headers, key, answer.asked_at, self._asking.vendor)
        if self._if_match is not None and found.etag != self._if_match:
            raise PreconditionFailed("the object is another version than the one asked for", key=key)
        expected = span_of(response, span, found.size, key)
        if expected <= SMALL and response.length == expected:
            content = await response.content(SMALL)
            self._end()
            if len(content) != expected:
                raise BadAnswer(f"the body has not the {expected} bytes that were announced", key=key)
            return S3Body(found, None, expected, content)
        pieces = _pieces(response, expected)
        if span.whole and found.size >= WORTH_IT:
            self._parted = PartedBody(found, pieces, partial(self._part, found.etag), self._asking.room, self._end)
            return self._parted
        return S3Body(found, pieces, expected)

    async def _part(self, etag: str, start: int, length: int) -> Sequence[Piece]:
        async with Reading(self._asking, self._key, etag, Span(start, length)) as body:
            return [piece async for piece in body.chunks()]


async def _pieces(response: Answer, expected: int) -> AsyncIterator[Piece]:
    """The body as it comes, each piece received where it stays; what is too much is told by one more byte."""
    seen = 0
    while seen <= expected:
        piece = bytearray(min(_PIECE, expected - seen) or 1)
        came = await response.read_into(memoryview(piece))
        if not came:
            return
        del piece[came:]
        seen += came
        yield piece
