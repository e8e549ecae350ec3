"""A storage in memory: for tests, and for trying out a policy. Same contract as the real ones, and faults on demand."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import pyarrow as pa

from cloudsync_pipeline.core.errors import (
    BadAnswer,
    CapabilityMissing,
    ContainerNotFound,
    NotFound,
    PreconditionFailed,
    Rejected,
)
from cloudsync_pipeline.core.faults import Corrupt, Faults, LoseAnswer, Truncate
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.storage.base import StorageCapabilities
from cloudsync_pipeline.storage.batches import listing_batch

_PIECE = 1024 * 1024


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of a `MemoryBucket`."""

    content: bytes
    md5: str
    etag: str
    last_modified: datetime
    content_type: str | None = None


@dataclass(slots=True)
class MemoryBucket:
    """The objects themselves, by whole escaped key; several storages may look at one bucket.

    Attributes:
        exists: False once somebody removed the bucket.
    """

    objects: dict[str, Stored] = field(default_factory=dict)
    exists: bool = True


class MemoryStorage:
    """See `storage.base.Storage`.

    The operations that `faults` knows are "list" (once a page), "head", "read" (when it is opened; `Truncate` and
    `Corrupt` apply to the body), "chunk" (before each piece of a body) and "health".

    Args:
        bucket: what to look at; a new, empty one by default.
        prefix: as in `S3Settings`.
        faults: what goes wrong; nothing by default.
        capabilities: what is declared; what is not, is refused.
        now: the storage's clock, in UTC.
        page_size: objects a batch of a listing.
        chunk_size: bytes a piece of a body, at most 1 MiB.
    """

    def __init__(
        self,
        bucket: MemoryBucket | None = None,
        *,
        prefix: str = "",
        faults: Faults | None = None,
        capabilities: StorageCapabilities | None = None,
        now: Callable[[], datetime] = _now,
        page_size: int = 1000,
        chunk_size: int = _PIECE,
    ) -> None:
        self.bucket = bucket or MemoryBucket()
        self.faults = faults or Faults()
        self._prefix = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
        self._capabilities = capabilities or StorageCapabilities(etag_may_be_md5=True)
        self._now = now
        self._page_size = page_size
        self._chunk_size = min(chunk_size, _PIECE)

    # --- what a customer does ---------------------------------------------------------------------

    def put(
        self, key: str, content: bytes, *, etag: str | None = None, content_type: str | None = None
    ) -> StorageObject:
        """Store an object, whatever stood there.

        Args:
            key: escaped, relative to the prefix.
            etag: in place of the content's MD5, as after a multipart upload.
        """
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.bucket.objects[self._prefix + key] = Stored(content, md5, etag or md5, self._now(), content_type)
        return self._described(key)

    def delete(self, key: str) -> None:
        """Remove an object. Raises NotFound."""
        self._stored(key)
        del self.bucket.objects[self._prefix + key]

    def copy(self, key: str, new_key: str) -> StorageObject:
        """Store an object's content under a second key. Raises NotFound."""
        stored = self._stored(key)
        return self.put(new_key, stored.content, etag=stored.etag, content_type=stored.content_type)

    def rename(self, key: str, new_key: str) -> StorageObject:
        """What S3 users call a rename: a copy and a delete. Raises NotFound."""
        copied = self.copy(key, new_key)
        if key != new_key:
            self.delete(key)
        return copied

    # --- what we ask ------------------------------------------------------------------------------

    @property
    def capabilities(self) -> StorageCapabilities:
        return self._capabilities

    @property
    def identity(self) -> Mapping[str, str]:
        return {"type": "memory", "prefix": self._prefix}

    async def list(self, prefix: str = "") -> AsyncIterator[pa.RecordBatch]:
        """See `Storage.list`; each page shows the bucket as it is when the page is asked for."""
        begin, last = self._prefix + prefix, ""
        while True:
            await self._hit("list")
            self._check_bucket()
            keys = sorted(key for key in self.bucket.objects if key.startswith(begin) and key != self._prefix)
            page = keys[bisect.bisect_right(keys, last) :][: self._page_size]
            if page:
                last = page[-1]
                yield self._batch(self._described(key.removeprefix(self._prefix)) for key in page)
            if len(page) < self._page_size:
                return

    async def head(self, key: str) -> StorageObject:
        """See `Storage.head`."""
        await self._hit("head", key)
        return self._described(key)

    @asynccontextmanager
    async def read(
        self, key: str, *, if_match: str | None = None, start: int = 0, length: int | None = None
    ) -> AsyncIterator[MemoryBody]:
        """See `Storage.read`; the content is the one at the moment of opening.

        Raises:
            Rejected: the object ends before `start`.
            ValueError: `start` is negative, or `length` less than 1.
        """
        if start < 0 or (length is not None and length < 1):
            raise ValueError(f"no part of an object: start {start}, length {length}")
        if (start or length is not None) and not self._capabilities.ranges:
            raise CapabilityMissing("this storage cannot read a part of an object", key=key)
        if if_match is not None and not self._capabilities.conditional_read:
            raise CapabilityMissing("this storage cannot read on a condition", key=key)
        effect = await self._hit("read", key)
        found = self._described(key)
        if if_match is not None and found.etag != if_match:
            raise PreconditionFailed("the object is another version than the one asked for", key=key)
        if start and start >= found.size:
            raise Rejected(f"the object has {found.size} bytes, and was to be read from byte {start}", key=key)
        end = None if length is None else start + length
        content = self._stored(key).content[start:end]
        yield MemoryBody(found, content, self.faults, effect, self._chunk_size)

    async def health(self) -> None:
        """See `Storage.health`."""
        await self._hit("health")
        self._check_bucket()

    async def close(self) -> None:
        """See `Storage.close`; the bucket stays."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _hit(self, operation: str, key: str | None = None) -> Truncate | Corrupt | None:
        effect = await self.faults.hit(operation, key)
        if isinstance(effect, LoseAnswer):
            # Nothing here changes anything: a lost answer is an error like any other.
            raise effect.error
        return effect

    def _check_bucket(self) -> None:
        if not self.bucket.exists:
            raise ContainerNotFound("the bucket in memory was removed", remedy="Create it again.")

    def _stored(self, key: str) -> Stored:
        self._check_bucket()
        try:
            return self.bucket.objects[self._prefix + key]
        except KeyError as error:
            raise NotFound("there is no such object in memory", key=key) from error

    def _described(self, key: str) -> StorageObject:
        stored = self._stored(key)
        size = len(stored.content)
        vouched = self._capabilities.etag_may_be_md5 and stored.md5 == stored.etag
        return StorageObject(
            key=key,
            size=size,
            etag=stored.etag,
            last_modified=stored.last_modified,
            observed_at=self._now(),
            content_type=stored.content_type,
            fingerprint=Fingerprint("md5", stored.md5, size) if vouched else None,
        )

    def _batch(self, objects: Iterable[StorageObject]) -> pa.RecordBatch:
        found = list(objects)
        # Like S3, a listing tells no content type and no fingerprint.
        columns: dict[str, list[object]] = {
            "key": [each.key for each in found],
            "size": [each.size for each in found],
            "etag": [each.etag for each in found],
            "last_modified": [each.last_modified for each in found],
            "observed_at": [self._now()] * len(found),
        }
        return listing_batch(columns, len(found))


class MemoryBody:
    """See `storage.base.ObjectBody`."""

    def __init__(
        self, found: StorageObject, content: bytes, faults: Faults, effect: Truncate | Corrupt | None, piece: int
    ) -> None:
        self.object = found
        self.content: bytes | None = None
        self._content = content
        self._faults = faults
        self._effect = effect
        self._piece = piece

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `ObjectBody.chunks`."""
        content = self._content
        if isinstance(self._effect, Truncate):
            content = content[: self._effect.after]
        if isinstance(self._effect, Corrupt) and self._effect.at < len(content):
            at = self._effect.at
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        for start in range(0, len(content), self._piece):
            await self._faults.hit("chunk", self.object.key)
            yield content[start : start + self._piece]
        if len(content) != len(self._content):
            raise BadAnswer("the body ended before its announced length", key=self.object.key)
