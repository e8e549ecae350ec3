"""A folder on this machine's disk as a file manager.

Files are written out of sight and renamed into place, so that a path holds its old or its new content and
never a part. What the folder itself cannot tell (ids, digests, owners, metadata) stands in an index; the folder
is the truth where both differ. `local_disk` does the work; this module sees to it that the event loop never waits
long for it.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from cloudsync_pipeline.core.errors import ContentMismatch, StateError
from cloudsync_pipeline.core.records import FileState, Permissions, Piece
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities, Upload
from cloudsync_pipeline.file_managers.local_disk import STATE_FOLDER, Disk
from cloudsync_pipeline.file_managers.local_errors import translating
from cloudsync_pipeline.file_managers.local_staging import StagedFile
from cloudsync_pipeline.file_managers.local_threads import Threads
from cloudsync_pipeline.file_managers.paths import MAX_NAME_BYTES, MAX_PATH_BYTES, Parts, split, split_prefix

P = ParamSpec("P")
T = TypeVar("T")

_SMALL = 1024 * 1024
"""Bytes up to which content is gathered, so that it is written by one call in a thread."""
_READ = 256 * 1024
_LISTED = 500
"""Files listed by one call in a thread."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Which folder.

    Attributes:
        root: folder of all integrations' files.
        destination_prefix: the folder below `root` that this integration writes to and never leaves; may be empty.
        state_dir: where index, unfinished files and reports are kept; on the same file system as `root`.
            None for `.cloudsync` in `root`.
        create_root: make `root` where it is missing. Off by default: a missing root is more often a disk that
            is not mounted than one that was never made.
        case_sensitive: None to find out; False treats `A` and `a` as one name even where this file system does
            not, for folders that are shared with systems that do.
        threads: file operations done at once where the disk is slow.
    """

    root: Path
    destination_prefix: str = ""
    state_dir: Path | None = None
    create_root: bool = False
    case_sensitive: bool | None = None
    threads: int = 4


class LocalFileManager:
    """See the module's docstring and `base.FileManager`."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._prefix = split_prefix(settings.destination_prefix)
        self._threads = Threads(settings.threads, "local-files")
        self._opened: Disk | None = None
        self._connecting = asyncio.Lock()

    @property
    def capabilities(self) -> FileManagerCapabilities:
        return FileManagerCapabilities(
            atomic_put=True,
            move=True,
            delete=True,
            probe=True,
            permissions=True,
            permissions_in_answers=True,
            list=True,
            read=True,
            content_hash=True,
            stable_ids=True,
            folders_are_files=False,
            case_sensitive=self._opened is None or not self._opened.folding.case,
            max_path_bytes=MAX_PATH_BYTES,
            max_name_bytes=MAX_NAME_BYTES,
        )

    @property
    def identity(self) -> Mapping[str, str]:
        return {
            "type": "local",
            "root": str(self._settings.root.resolve()),
            "destination_prefix": self._settings.destination_prefix.removesuffix("/"),
        }

    async def connect(self) -> None:
        async with self._connecting:
            if self._opened is None:
                self._opened = await self._in_thread(self._open)

    def _open(self) -> Disk:
        settings = self._settings
        root = settings.root.resolve()
        state = root / STATE_FOLDER if settings.state_dir is None else settings.state_dir.resolve()
        with translating():
            if settings.create_root:
                root.mkdir(parents=True, exist_ok=True)
            return Disk(root, self._prefix, state, settings.case_sensitive)

    async def put(self, path: str, upload: Upload) -> FileState:
        parts = split(path)
        self._disk.refuse(parts)
        if upload.size > _SMALL:
            return await self._put_large(path, parts, upload)
        if upload.content is None:
            pieces = [piece async for piece in _at_most(upload.size, upload.chunks)]
        else:
            pieces = [upload.content]
        return await self._threads.brief(functools.partial(self._put_small, path, parts, pieces, upload))

    def _put_small(self, path: str, parts: Parts, pieces: list[Piece], upload: Upload) -> FileState:
        with translating(path), self._disk.stage(upload.size, hashing=upload.md5 is None) as staged:
            for piece in pieces:
                staged.write(piece)
            md5 = None if upload.md5 is None else upload.md5()
            return self._disk.store(parts, staged, md5, upload.content_type, upload.metadata or {})

    async def _put_large(self, path: str, parts: Parts, upload: Upload) -> FileState:
        staged = await self._in_thread(self._disk.stage, upload.size, hashing=upload.md5 is None)
        try:
            gathered: list[Piece] = []
            waiting = 0
            async for piece in _at_most(upload.size, upload.chunks):
                gathered.append(piece)
                waiting += len(piece)
                if waiting >= _SMALL:
                    await self._in_thread(_write, path, staged, gathered)
                    gathered, waiting = [], 0
            await self._in_thread(_write, path, staged, gathered)
            return await self._in_thread(self._finish, path, parts, staged, upload)
        finally:
            staged.close()

    def _finish(self, path: str, parts: Parts, staged: StagedFile, upload: Upload) -> FileState:
        with translating(path):
            md5 = None if upload.md5 is None else upload.md5()
            return self._disk.store(parts, staged, md5, upload.content_type, upload.metadata or {})

    async def move(self, path: str, new_path: str) -> FileState:
        parts, new_parts = split(path), split(new_path)
        return await self._briefly(path, self._disk.move, parts, new_parts)

    async def delete(self, path: str) -> None:
        await self._briefly(path, self._disk.remove, split(path))

    async def get(self, path: str) -> FileState:
        """See `FileManager.get`. A digest that the index lost in a kill, or never had, is computed."""
        parts = split(path)
        state = await self._briefly(path, self._disk.describe, parts)
        if state.fingerprint is not None:
            return state
        file = os.fdopen(await self._about(path, self._disk.open, parts), "rb", buffering=0)
        with file:
            before = os.fstat(file.fileno())
            digest = hashlib.md5(usedforsecurity=False)
            while await self._about(path, _digest_some, file, digest):
                pass
            return await self._about(path, self._disk.describe, parts, (before, digest.hexdigest()))

    async def read_permissions(self, path: str) -> Permissions:
        return (await self.get(path)).permissions

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        return await self._briefly(path, self._disk.set_permissions, split(path), desired)

    async def list(self) -> AsyncIterator[FileState]:
        walk = self._disk.walk()
        try:
            while batch := await self._about(None, lambda: [*islice(walk, _LISTED)]):
                for state in batch:
                    yield state
        finally:
            walk.close()

    @asynccontextmanager
    async def read(self, path: str) -> AsyncIterator[AsyncIterator[Piece]]:
        fd = await self._about(path, self._disk.open, split(path))
        file = os.fdopen(fd, "rb", buffering=0)

        async def chunks() -> AsyncIterator[Piece]:
            while data := await self._about(path, file.read, _READ):
                yield data

        try:
            yield chunks()
        finally:
            file.close()

    async def flush(self) -> None:
        await self._about(None, self._disk.sync)

    async def report(self, results: Mapping[str, Any]) -> None:
        await self._about(None, self._disk.report, results)

    async def health(self) -> None:
        await self.connect()
        await self._about(None, self._disk.check)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await self._in_thread(opened.close)
        self._threads.close()

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def _disk(self) -> Disk:
        if self._opened is None:
            raise StateError("The local file manager is not connected.", remedy="Call connect() first.")
        return self._opened

    async def _about(self, path: str | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._in_thread(functools.partial(_translated, path, work, *args, **kwargs))

    async def _briefly(self, path: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a few short system calls."""
        return await self._threads.brief(functools.partial(_translated, path, work, *args, **kwargs))

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._threads.run(functools.partial(work, *args, **kwargs))


def _translated(path: str | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with translating(path):
        return work(*args, **kwargs)


def _digest_some(file: FileIO, digest: hashlib._Hash) -> bool:
    """Read some of a file on; returns whether there may be more."""
    data = file.read(_SMALL)
    digest.update(data)
    return bool(data)


def _write(path: str, staged: StagedFile, pieces: list[Piece]) -> None:
    with translating(path):
        for piece in pieces:
            staged.write(piece)


async def _at_most(size: int, chunks: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """The chunks as they are; ends with ContentMismatch as soon as they hold more than `size` bytes."""
    came = 0
    async for chunk in chunks:
        came += len(chunk)
        if came > size:
            raise ContentMismatch(f"More bytes came than the {size} that were announced.")
        yield chunk
