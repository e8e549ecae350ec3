"""Around a file manager that tells the truth nothing changes; one that lies, or cannot be asked, is found out."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import ClassVar

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, BadAnswer, ConfigError, NotFound, Unavailable
from cloudsync_pipeline.core.records import FileState
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.confirming import Confirming
from cloudsync_pipeline.file_managers.memory import EVERYTHING, MemoryFileManager, MemoryFiles
from cloudsync_tests.contracts.file_manager import TENANT, FileManagerContract, FileManagerSuite, Opened, an_upload
from cloudsync_tests.contracts.file_manager_answers import Hashes, KeepsPermissions, Lists, Probes, Reads, StableIds
from cloudsync_tests.contracts.file_manager_changes import AtomicPut, CaseSensitive, Deletes, FoldersAreFiles, Moves


class _Confirmed(FileManagerSuite):
    @pytest.fixture(autouse=True)
    def _own_files(self) -> None:
        self.files = MemoryFiles()

    def open(self, prefix: str = TENANT) -> Opened:
        return Confirming(MemoryFileManager(self.files, destination_prefix=prefix, capabilities=self.expected))

    def held(self, path: str, prefix: str = TENANT) -> bytes | None:
        return self.everything().get(f"{prefix}/{path}" if prefix else path)

    def everything(self) -> dict[str, bytes]:
        return {path: file.content for path, file in self.files.files.items()}


class TestConfirmed(
    _Confirmed,
    FileManagerContract,
    AtomicPut,
    Moves,
    Deletes,
    Probes,
    KeepsPermissions,
    Lists,
    Reads,
    Hashes,
    StableIds,
    FoldersAreFiles,
    CaseSensitive,
):
    expected: ClassVar = EVERYTHING


class Liar(MemoryFileManager):
    """Acknowledges everything and does nothing."""

    async def move(self, path: str, new_path: str) -> FileState:
        return dataclasses.replace(await self.get(path), path=new_path)

    async def delete(self, path: str) -> None:
        await self.get(path)


def with_a_file(kind: type[MemoryFileManager], capabilities: FileManagerCapabilities = EVERYTHING) -> MemoryFileManager:
    manager = kind(MemoryFiles(), capabilities=capabilities)
    asyncio.run(manager.put("file", an_upload(b"content")))
    return manager


def test_a_move_or_a_delete_that_was_not_done_is_no_acknowledgement() -> None:
    confirming = Confirming(with_a_file(Liar))
    with pytest.raises(BadAnswer, match="acknowledged that the file was moved"):
        asyncio.run(confirming.move("file", "elsewhere"))
    with pytest.raises(BadAnswer, match="acknowledged that the file was deleted"):
        asyncio.run(confirming.delete("file"))


def test_a_move_that_left_the_file_where_it_was_as_well_is_no_acknowledgement() -> None:
    class Copies(MemoryFileManager):
        async def move(self, path: str, new_path: str) -> FileState:
            return await self.put(new_path, an_upload(b"content"))

    with pytest.raises(BadAnswer, match="still at its old path"):
        asyncio.run(Confirming(with_a_file(Copies)).move("file", "elsewhere"))


@pytest.mark.parametrize("truth", [None, FileState("file", size=3)])
def test_a_file_that_is_missing_or_of_another_size_is_no_acknowledgement(
    truth: FileState | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = with_a_file(MemoryFileManager)

    async def get(path: str) -> FileState:
        if truth is None:
            raise NotFound("No file stands there.", key=path)
        return truth

    monkeypatch.setattr(inner, "get", get)
    with pytest.raises(BadAnswer, match="acknowledged that the file was stored") as caught:
        asyncio.run(Confirming(inner).put("file", an_upload(b"content")))
    assert caught.value.retryable


def test_a_look_that_is_refused_does_not_say_that_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = with_a_file(MemoryFileManager)

    async def get(path: str) -> FileState:
        raise AccessDenied("No.", key=path)

    monkeypatch.setattr(inner, "get", get)
    with pytest.raises(Unavailable, match="could not be confirmed"):
        asyncio.run(Confirming(inner).put("file", an_upload(b"content")))


def test_a_file_manager_that_cannot_be_asked_cannot_be_confirmed() -> None:
    inner = MemoryFileManager(MemoryFiles(), capabilities=dataclasses.replace(EVERYTHING, probe=False))
    with pytest.raises(ConfigError, match="confirmed by asking"):
        asyncio.run(Confirming(inner).connect())
