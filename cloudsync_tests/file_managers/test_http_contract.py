"""The HTTP API's client keeps the contract, against a real server in a process of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager, HttpApiSettings
from cloudsync_pipeline.transport.settings import HttpSettings
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
from cloudsync_tests.contracts.file_manager_changes import AtomicPut, CaseSensitive, Deletes, FoldersAreFiles, Moves
from cloudsync_tests.hostile_keys import HostileKey

PREFIX_BYTES = len(f"{TENANT}/")
ALL = FileManagerCapabilities(
    atomic_put=True,
    permissions_in_answers=True,
    list=True,
    read=True,
    content_hash=True,
    stable_ids=True,
    max_path_bytes=4096 - PREFIX_BYTES,
)
BARE = FileManagerCapabilities(move=False, delete=False, probe=False, permissions=False)
NOT_DECLARED = {field.name: getattr(BARE, field.name) for field in dataclasses.fields(BARE)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with running(tmp_path_factory.mktemp("devserver"), fsync=False) as server:
        yield server


class _Http(FileManagerSuite):
    overrides: ClassVar[dict[str, bool | int | None]] = {}
    opaque_paths: ClassVar[bool | None] = None

    @pytest.fixture(autouse=True)
    def _empty_server(self, server: DevServer) -> None:
        self.server = server
        for path in server.files():
            form = urlencode({"operation": "delete", "file_path": path}).encode()
            urlopen(f"{server.url}/saveToDisk", form).close()

    def open(self, prefix: str = TENANT) -> Opened:
        settings = HttpApiSettings(
            self.server.url,
            prefix,
            http=HttpSettings(trust_env=False),
            capabilities=self.overrides,
            opaque_paths=self.opaque_paths,
        )
        return HttpApiFileManager(settings)

    def held(self, path: str, prefix: str = TENANT) -> bytes | None:
        return self.everything().get(f"{prefix}/{path}" if prefix else path)

    def everything(self) -> dict[str, bytes]:
        return {keys.escape(path): self.server.content(path) for path in self.server.files()}


class TestHttp(
    _Http,
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
    expected: ClassVar = ALL
    # Its answers tell them, whether or not it declares that.
    overrides: ClassVar = {"permissions_in_answers": True}


class TestHttpThatPromisesNothing(_Http, FileManagerContract, FoldersAreFiles, CaseSensitive):
    expected: ClassVar = BARE
    overrides: ClassVar = NOT_DECLARED
    opaque_paths: ClassVar = False

    def holds(self, hostile: HostileKey) -> bool:
        return all(name not in ("", ".", "..") for name in hostile.raw.split("/"))
