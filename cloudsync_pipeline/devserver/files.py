"""The file manager itself: content and index kept in step."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar

from anyio import to_thread

from cloudsync_pipeline.devserver import index
from cloudsync_pipeline.devserver.answers import not_found
from cloudsync_pipeline.devserver.blobs import BlobStore, BlobWriter
from cloudsync_pipeline.devserver.index import Entry, Index, Put
from cloudsync_pipeline.devserver.settings import Settings
from cloudsync_pipeline.devserver.writer import GroupWriter

T = TypeVar("T")


class RootInUse(RuntimeError):
    """Another server works on this root folder."""


def now() -> str:
    """The time, as every answer writes it: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()


class Files:
    """All that a root folder holds. Opening it deletes what a killed server left unfinished.

    Raises:
        RootInUse: another server has it open.
    """

    def __init__(self, settings: Settings) -> None:
        root = settings.root
        self._defaults = (settings.permissions, settings.owner, settings.group)
        self._lock = claim(settings)
        self._blobs = BlobStore(root, fsync=settings.fsync)
        path = root / "index.sqlite"
        reading = index.connect(path, fsync=settings.fsync)
        reading.executescript(index.SCHEMA)
        self.index = Index(reading)
        self._blobs.collect(self.index.blob_ids)
        self._writer = GroupWriter(lambda: index.connect(path, fsync=settings.fsync))

    def close(self) -> None:
        self._writer.close()
        self.index.close()
        os.close(self._lock)

    def writer(self) -> BlobWriter:
        return self._blobs.writer()

    async def change(self, change: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(change)

    async def put(
        self, path: str, content: BlobWriter, *, file_type: str | None, metadata: str | None, must_exist: bool
    ) -> tuple[Entry, bool]:
        """Store content at a path: whole and durable, or not at all.

        Returns:
            The file, and whether one was there before.

        Raises:
            Refusal: 404 if the file must exist and does not.
        """
        try:
            blob = await to_thread.run_sync(content.finish)
            new = Put(path, blob, file_type, metadata, now())
            entry, old = await self.change(
                lambda connection: index.put(connection, new, self._defaults, must_exist=must_exist)
            )
        except Exception:
            content.discard()
            raise
        await self._forget(old)
        return entry, old is not None

    async def move(self, path: str, new_path: str) -> Entry:
        entry, old = await self.change(lambda connection: index.move(connection, path, new_path, now()))
        await self._forget(old)
        return entry

    async def delete(self, path: str) -> Entry:
        entry, old = await self.change(lambda connection: index.delete(connection, path))
        await self._forget(old)
        return entry

    def find(self, path: str) -> Entry:
        entry = self.index.find(path)
        if entry is None:
            raise not_found(path)
        return entry

    def open(self, path: str) -> tuple[Entry, BinaryIO]:
        """A file and its content, open for reading.

        Raises:
            Refusal: 404.
        """
        while True:
            entry = self.find(path)
            try:
                return entry, self._blobs.open(entry.blob_id)
            except FileNotFoundError:
                # Replaced between the two reads; the index then names another blob. If it does not, the blob is lost.
                if self.find(path).blob_id == entry.blob_id:
                    raise

    async def _forget(self, blob_id: str | None) -> None:
        if blob_id is not None:
            await to_thread.run_sync(self._blobs.delete, blob_id)


def claim(settings: Settings) -> int:
    """Claim the root folder for as long as the returned descriptor is open. Raises RootInUse."""
    settings.root.mkdir(parents=True, exist_ok=True)
    lock = os.open(settings.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RootInUse(f"another server works on {settings.root}; stop it, or choose another --root") from error
    return lock
