"""The fake keeps the contract, with all abilities and with none."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest

from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.memory import EVERYTHING, MemoryFileManager, MemoryFiles
from cloudsync_tests.contracts.file_manager import TENANT, FileManagerContract, FileManagerSuite, Opened
from cloudsync_tests.contracts.file_manager_answers import (
    Hashes,
    KeepsPermissions,
    Lists,
    Probes,
    Reads,
    StableIds,
    TellsPermissions,
)
from cloudsync_tests.contracts.file_manager_changes import (
    AtomicPut,
    CaseInsensitive,
    CaseSensitive,
    Deletes,
    FoldersAreFiles,
    FoldersAreNoFiles,
    Moves,
)
from cloudsync_tests.hostile_keys import HOSTILE_KEYS, HostileKey

LIKE_A_DISK = FileManagerCapabilities(
    folders_are_files=False, case_sensitive=False, max_name_bytes=200, max_path_bytes=900
)
BARE = FileManagerCapabilities(move=False, delete=False, probe=False, permissions=False)


class _Memory(FileManagerSuite):
    @pytest.fixture(autouse=True)
    def _own_files(self) -> None:
        self.files = MemoryFiles()

    def open(self, prefix: str = TENANT) -> Opened:
        return MemoryFileManager(self.files, destination_prefix=prefix, capabilities=self.expected)

    def held(self, path: str, prefix: str = TENANT) -> bytes | None:
        return self.everything().get(f"{prefix}/{path}" if prefix else path)

    def everything(self) -> dict[str, bytes]:
        return {path: file.content for path, file in self.files.files.items()}


class TestMemoryWithEverything(
    _Memory,
    FileManagerContract,
    AtomicPut,
    Moves,
    Deletes,
    Probes,
    KeepsPermissions,
    TellsPermissions,
    Lists,
    Reads,
    Hashes,
    StableIds,
    FoldersAreFiles,
    CaseSensitive,
):
    expected: ClassVar = dataclasses.replace(EVERYTHING, permissions_in_answers=True)


class TestMemoryLikeADisk(
    _Memory, FileManagerContract, Moves, Deletes, Probes, KeepsPermissions, FoldersAreNoFiles, CaseInsensitive
):
    expected: ClassVar = LIKE_A_DISK

    def holds(self, hostile: HostileKey) -> bool:
        held: list[str] = []
        for other in reversed(HOSTILE_KEYS):
            raw = other.raw
            short = len(raw.encode()) <= 900 and all(len(name.encode()) <= 200 for name in raw.split("/"))
            clash = any(_below(raw, one) or _below(one, raw) or raw.casefold() == one.casefold() for one in held)
            if other == hostile:
                return short and not clash
            if short and not clash:
                held.append(raw)
        raise AssertionError(hostile)


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


class TestMemoryWithNothing(_Memory, FileManagerContract, FoldersAreFiles, CaseSensitive):
    expected: ClassVar = BARE
