"""A file manager that is sent nothing more once its writer's lock is lost: a wrapper around any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Self

from cloudsync_pipeline.core.records import FileState, Permissions, Piece
from cloudsync_pipeline.file_managers.base import FileManager, FileManagerCapabilities, Upload


class Fenced:
    """Asks before each call that changes something, and before each piece of content.

    Args:
        inner: the file manager itself.
        check: raises LockLost where the lock is not held any more; asks nobody, so it costs nothing.
    """

    def __init__(self, inner: FileManager, check: Callable[[], None]) -> None:
        self._inner = inner
        self._check = check

    # --- what changes something -----------------------------------------------------------------

    async def put(self, path: str, upload: Upload) -> FileState:
        self._check()
        if upload.content is None:
            upload = replace(upload, chunks=self._while_held(upload.chunks))
        return await self._inner.put(path, upload)

    async def move(self, path: str, new_path: str) -> FileState:
        self._check()
        return await self._inner.move(path, new_path)

    async def delete(self, path: str) -> None:
        self._check()
        await self._inner.delete(path)

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        self._check()
        return await self._inner.set_permissions(path, desired)

    async def report(self, results: Mapping[str, Any]) -> None:
        self._check()
        await self._inner.report(results)

    async def _while_held(self, chunks: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
        async for chunk in chunks:
            self._check()
            yield chunk

    # --- what only asks -------------------------------------------------------------------------

    @property
    def capabilities(self) -> FileManagerCapabilities:
        return self._inner.capabilities

    @property
    def identity(self) -> Mapping[str, str]:
        return self._inner.identity

    async def connect(self) -> None:
        await self._inner.connect()

    async def get(self, path: str) -> FileState:
        return await self._inner.get(path)

    async def read_permissions(self, path: str) -> Permissions:
        return await self._inner.read_permissions(path)

    def list(self) -> AsyncIterator[FileState]:
        return self._inner.list()

    def read(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        return self._inner.read(path)

    async def flush(self) -> None:
        await self._inner.flush()

    async def health(self) -> None:
        await self._inner.health()

    async def close(self) -> None:
        await self._inner.close()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._inner.__aexit__(*exc)
