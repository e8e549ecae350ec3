"""Every storage keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_tests.contracts.storage import StorageContract
from cloudsync_tests.servers import S3Server
from cloudsync_tests.storage.subjects import LocalSubject, MemorySubject, S3Subject


class TestS3OnSeaweedFS(StorageContract):
    @pytest.fixture
    def subject(self, seaweedfs: S3Server) -> S3Subject:
        return S3Subject(seaweedfs)


class TestS3OnMoto(StorageContract):
    @pytest.fixture
    def subject(self, moto: S3Server) -> S3Subject:
        return S3Subject(moto)


class TestMemory(StorageContract):
    @pytest.fixture
    def subject(self) -> MemorySubject:
        return MemorySubject()


class TestLocal(StorageContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> LocalSubject:
        return LocalSubject(tmp_path)
