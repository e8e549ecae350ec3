"""A folder of a local or mounted disk as a storage: each regular file is an object, its path below the root the key.

POSIX only. Symbolic links are no objects and are never followed, so that nothing outside the root can be reached.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Self

import pyarrow as pa

from cloudsync_pipeline.core.errors import PreconditionFailed, Rejected
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.storage.base import StorageCapabilities
from cloudsync_pipeline.storage.batches import listing_batch
from cloudsync_pipeline.storage.local_files import (
    Found,
    modified,
    open_file,
    open_root,
    status_of,
    translated,
    version,
    walk,
)

_PIECE = 1024 * 1024


class LocalStorage:
    """See `storage.base.Storage`.

    The ETag is made of size, inode and times: it changes with each write, and also when permissions change.

    Args:
        root: the folder; it may be a link itself.
        batch_size: files a batch of a listing.
    """

    def __init__(self, root: Path, *, batch_size: int = 1000) -> None:
        self._root = os.fsencode(root.absolute())
        self._batch_size = batch_size

    def __repr__(self) -> str:
        return f"LocalStorage(root={os.fsdecode(self._root)!r})"

    @property
    def capabilities(self) -> StorageCapabilities:
        return StorageCapabilities()

    @property
    def identity(self) -> Mapping[str, str]:
        return {"type": "local", "root": os.fsdecode(self._root)}

    async def list(self, prefix: str = "") -> AsyncIterator[pa.RecordBatch]:
        """See `Storage.list`.

        Raises:
            AccessDenied: a folder may not be read, so that no listing can be complete.
        """
        # Not closed here: when this is cancelled, a thread may still be in it. It closes with its last reference.
        files = self._files(prefix)
        while True:
            observed_at = datetime.now(UTC)
            found = await asyncio.to_thread(self._next_batch, files)
            if not found:
                return
            yield _batch(found, observed_at)

    def _files(self, prefix: str) -> Iterator[Found]:
        yield from (found for found in walk(self._root) if found.key.startswith(prefix))

    def _next_batch(self, files: Iterator[Found]) -> tuple[Found, ...]:
        return tuple(islice(files, self._batch_size))

    async def head(self, key: str) -> StorageObject:
        """See `Storage.head`."""
        observed_at = datetime.now(UTC)
        return _described(key, await asyncio.to_thread(status_of, self._root, key), observed_at)

    @asynccontextmanager
    async def read(
        self, key: str, *, if_match: str | None = None, start: int = 0, length: int | None = None
    ) -> AsyncIterator[LocalBody]:
        """See `Storage.read`.

        Raises:
            Rejected: the file ends before `start`.
            ValueError: `start` is negative, or `length` less than 1.
        """
        if start < 0 or (length is not None and length < 1):
            raise ValueError(f"no part of a file: start {start}, length {length}")
        observed_at = datetime.now(UTC)
        descriptor, status = await asyncio.to_thread(open_file, self._root, key)
        try:
            found = _described(key, status, observed_at)
            if if_match is not None and found.etag != if_match:
                raise PreconditionFailed("the file is another version than the one asked for", key=key)
            if start and start >= found.size:
                raise Rejected(f"the file has {found.size} bytes, and was to be read from byte {start}", key=key)
            end = found.size if length is None else min(found.size, start + length)
            yield LocalBody(found, descriptor, start, end, self._root)
        finally:
            os.close(descriptor)

    async def health(self) -> None:
        """See `Storage.health`."""
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        descriptor = open_root(self._root)
        try:
            with os.scandir(descriptor) as entries:
                next(entries, None)
        except OSError as error:
            raise translated(error, root=self._root) from error
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """See `Storage.close`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class LocalBody:
    """See `storage.base.ObjectBody`."""

    def __init__(self, found: StorageObject, descriptor: int, start: int, end: int, root: bytes) -> None:
        self.object = found
        self.content: bytes | None = None
        self._descriptor = descriptor
        self._start = start
        self._end = end
        self._root = root

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `ObjectBody.chunks`.

        Raises:
            PreconditionFailed: the file was written to while it was read.
        """
        at = self._start
        while at < self._end:
            piece = await asyncio.to_thread(self._piece, at)
            at += len(piece)
            yield piece

    def _piece(self, at: int) -> bytes:
        """The bytes from `at` on; looks after each piece whether they are still of the version that was opened."""
        try:
            piece = os.pread(self._descriptor, min(_PIECE, self._end - at), at)
            unchanged = version(os.fstat(self._descriptor)) == self.object.etag
        except OSError as error:
            raise translated(error, root=self._root, key=self.object.key) from error
        if not piece or not unchanged:
            raise PreconditionFailed("the file changed while it was read", key=self.object.key)
        return piece


def _described(key: str, status: os.stat_result, observed_at: datetime) -> StorageObject:
    return StorageObject(
        key=key,
        size=status.st_size,
        etag=version(status),
        last_modified=modified(status),
        observed_at=observed_at,
    )


def _batch(found: tuple[Found, ...], observed_at: datetime) -> pa.RecordBatch:
    columns: dict[str, list[object]] = {
        "key": [each.key for each in found],
        "size": [each.status.st_size for each in found],
        "etag": [version(each.status) for each in found],
        "last_modified": [modified(each.status) for each in found],
        "observed_at": [observed_at] * len(found),
    }
    return listing_batch(columns, len(found))
