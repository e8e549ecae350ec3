"""The two ends of a story, which check each call of ours while it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import NotFound, PathRejected
from cloudsync_pipeline.core.faults import Corrupt, LoseAnswer, Truncate
from cloudsync_pipeline.core.records import FileState, StorageObject
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.file_managers.memory import Call, MemoryFileManager
from cloudsync_pipeline.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from cloudsync_tests.reliability.harsh_world import HarshWorld


class WatchedStorage(MemoryStorage):
    """Remembers what it was asked, and where it gave bytes of which nobody can know that they are wrong."""

    world: HarshWorld

    async def head(self, key: str) -> StorageObject:
        self.world.told.pop(key, None)
        try:
            found = await super().head(key)
        except NotFound:
            self.world.told[key] = False
            raise
        self.world.told[key] = True
        return found

    async def _hit(self, operation: str, key: str | None = None) -> Truncate | Corrupt | None:
        effect = await super()._hit(operation, key)
        stored = self.bucket.objects.get(key or "")
        if operation == "read" and isinstance(effect, Corrupt) and stored is not None and stored.md5 != stored.etag:
            self.world.damaged.add(key or "")
        return effect


class WatchedFileManager(MemoryFileManager):
    """Checks each change against what is true of the bucket in that moment, and keeps what it acknowledged."""

    world: HarshWorld

    async def put(self, path: str, upload: Upload) -> FileState:
        self.world.no_rework(path, "put")
        return self._acknowledged(await super().put(path, upload))

    async def get(self, path: str) -> FileState:
        self._refuse_names(path)
        return self._acknowledged(await super().get(path))

    async def delete(self, path: str) -> None:
        self._refuse_names(path)
        self.world.no_rework(path, "delete")
        self.world.may_be_deleted(path)
        file = self.held.files.get(path)
        try:
            await super().delete(path)
        finally:
            if file is not None and path not in self.held.files:
                self.world.deleted(path)

    async def move(self, path: str, new_path: str) -> FileState:
        self.world.no_rework(path, "move")
        self.world.no_rework(new_path, "move onto")
        file = self.held.files.get(path)
        try:
            return self._acknowledged(await super().move(path, new_path))
        finally:
            if file is not None and self.held.files.get(new_path) is file:
                self.world.moved(path, new_path)

    def _acknowledged(self, state: FileState) -> FileState:
        self.world.acknowledged.add((state.path, state.internal_id))
        return state

    def _refuse_names(self, path: str) -> None:
        longest = self.capabilities.max_name_bytes
        if longest is not None and any(len(name.encode()) > longest for name in path.split("/")):
            raise PathRejected("A name in the path is too long to be asked for.", key=path)

    async def _called(self, call: Call, ability: str | None = None) -> Truncate | Corrupt | LoseAnswer | None:
        effect = await super()._called(call, ability)
        if call.operation == "put" and isinstance(effect, Truncate | Corrupt):
            self.world.lied.add(call.path or "")
        return effect

    def _store(self, path: str, content: bytes, upload: Upload) -> FileState:
        self.world.stored(path, content, whole=len(content) == upload.size, nothing=self.stores_nothing)
        return super()._store(path, content, upload)
