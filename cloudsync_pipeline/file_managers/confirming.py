"""Around a file manager whose acknowledgements are not taken on trust: each change is looked at right after it.

For servers, and proxies before them, that answer 200 and drop the content. It costs one `get` a change, for a move
two. An update that was dropped shows by its size or hash: where the file manager tells no hash and the size is the
same, nothing but reading the content back would tell.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Self

from cloudsync_pipeline.core.errors import BadAnswer, ConfigError, NotFound, PathRejected, RemoteError, Unavailable
from cloudsync_pipeline.core.records import FileState, Permissions, Piece
from cloudsync_pipeline.file_managers.base import FileManager, FileManagerCapabilities, Upload


class Confirming:
    """See the module's docstring and `base.FileManager`, whose promises it keeps.

    Args:
        inner: does the work.
    """

    def __init__(self, inner: FileManager) -> None:
        self._inner = inner

    @property
    def capabilities(self) -> FileManagerCapabilities:
        return self._inner.capabilities

    @property
    def identity(self) -> Mapping[str, str]:
        return self._inner.identity

    async def connect(self) -> None:
        await self._inner.connect()
        if not self.capabilities.probe:
            raise ConfigError(
                "Acknowledgements shall be confirmed by asking for the file, and the file manager cannot be asked.",
                remedy="Leave out `confirm: probe`, or declare the capability `probe` if it is there after all.",
            )

    async def put(self, path: str, upload: Upload) -> FileState:
        told = await self._inner.put(path, upload)
        found = await self._look(path, "stored")
        if found is None:
            raise _contradicted("stored", "it is not there", path)
        if found.size not in (None, upload.size):
            raise _contradicted("stored", f"{found.size} bytes are there in place of {upload.size}", path)
        # The hash is compared with that of what was sent by whoever sent it.
        return replace(found, fingerprint=found.fingerprint or told.fingerprint)

    async def move(self, path: str, new_path: str) -> FileState:
        told = await self._inner.move(path, new_path)
        found = await self._look(new_path, "moved")
        if found is None:
            raise _contradicted("moved", "nothing is at its new path", new_path)
        # Where case does not count, the new name may answer for the old one.
        if self.capabilities.case_sensitive and path != new_path and await self._look(path, "moved") is not None:
            raise _contradicted("moved", "it is still at its old path", path)
        return replace(found, fingerprint=found.fingerprint or told.fingerprint)

    async def delete(self, path: str) -> None:
        await self._inner.delete(path)
        if await self._look(path, "deleted") is not None:
            raise _contradicted("deleted", "it is still there", path)

    async def get(self, path: str) -> FileState:
        return await self._inner.get(path)

    async def read_permissions(self, path: str) -> Permissions:
        return await self._inner.read_permissions(path)

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        await self._inner.set_permissions(path, desired)
        # Compared with what was desired by whoever desired it.
        return await self._inner.read_permissions(path)

    def list(self) -> AsyncIterator[FileState]:
        return self._inner.list()

    def read(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        return self._inner.read(path)

    async def flush(self) -> None:
        await self._inner.flush()

    async def report(self, results: Mapping[str, Any]) -> None:
        await self._inner.report(results)

    async def health(self) -> None:
        await self._inner.health()

    async def close(self) -> None:
        await self._inner.close()

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _look(self, path: str, done: str) -> FileState | None:
        """What stands at a path; None for nothing.

        Raises:
            Unavailable: that cannot be found out now. Never one of the errors that say that nothing was done.
        """
        try:
            return await self._inner.get(path)
        except (NotFound, PathRejected):
            return None
        except RemoteError as error:
            raise Unavailable(
                f"It is acknowledged to be {done}, and that could not be confirmed: {error.message}",
                key=path,
                remedy=error.remedy,
                retry_after=error.retry_after,
            ) from error


def _contradicted(done: str, truth: str, path: str) -> BadAnswer:
    return BadAnswer(
        f"The file manager acknowledged that the file was {done}, and {truth}.",
        key=path,
        remedy="It is tried again; report this to who runs the file manager.",
    )
