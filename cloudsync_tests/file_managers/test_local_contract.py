"""A folder on disk keeps the contract."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import ClassVar

import pytest

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.file_managers.base import FileManager, FileManagerCapabilities
from cloudsync_pipeline.file_managers.local import LocalFileManager, LocalSettings
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
    FoldersAreNoFiles,
    Moves,
)
from cloudsync_tests.hostile_keys import LOCAL, HostileKey

ABILITIES = FileManagerCapabilities(
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
    case_sensitive=True,
    max_path_bytes=4096,
    max_name_bytes=255,
)


class _Local(FileManagerSuite):
    case_sensitive: ClassVar[bool | None] = None

    @pytest.fixture(autouse=True)
    def _own_root(self, tmp_path: Path) -> None:
        self.root = tmp_path / "root"
        self.root.mkdir()

    def open(self, prefix: str = TENANT) -> Opened:
        return LocalFileManager(LocalSettings(self.root, prefix, case_sensitive=self.case_sensitive))

    def held(self, path: str, prefix: str = TENANT) -> bytes | None:
        return self.everything().get(f"{prefix}/{path}" if prefix else path)

    def everything(self) -> dict[str, bytes]:
        found = {}
        for folder, _, names in os.walk(self.root):
            for file in (Path(folder, name) for name in names):
                path = os.fsencode(file.relative_to(self.root))
                if not path.startswith(b".cloudsync/"):
                    found[keys.escape_bytes(path)] = file.read_bytes()
        return found

    def holds(self, hostile: HostileKey) -> bool:
        return LOCAL not in hostile.not_on


class TestLocal(
    _Local,
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
    FoldersAreNoFiles,
    CaseSensitive,
):
    expected: ClassVar = ABILITIES


class TestLocalWhereCaseDoesNotCount(_Local, FoldersAreNoFiles, CaseInsensitive):
    """Everything else is as above."""

    expected: ClassVar = dataclasses.replace(ABILITIES, case_sensitive=False)
    case_sensitive: ClassVar = False

    def test_it_is_declared(self) -> None:
        async def scenario(manager: FileManager) -> None:
            assert manager.capabilities == self.expected

        self.run(scenario)
