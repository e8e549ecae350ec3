"""Containers of each implementation for the contract's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yarl import URL

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.core.keys import unescape_bytes
from cloudsync_pipeline.storage.base import Storage
from cloudsync_pipeline.storage.local import LocalStorage
from cloudsync_pipeline.storage.memory import MemoryBucket, MemoryStorage
from cloudsync_pipeline.storage.s3 import S3Storage
from cloudsync_pipeline.storage.s3.settings import S3Address
from cloudsync_pipeline.transport.http import HttpClient
from cloudsync_pipeline.transport.sigv4 import UNSIGNED_PAYLOAD, Signer
from cloudsync_tests.contracts.subject import StorageSubject
from cloudsync_tests.hostile_keys import HOSTILE_KEYS, LOCAL, keys_for
from cloudsync_tests.servers import S3Server


class S3Subject(StorageSubject):
    """A bucket of a real server; its keys are written as raw as they are, which boto3 does not do."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.bucket = server.new_bucket()
        self.hostile = keys_for(server.name)

    def storage(self, prefix: str = "", **changes: Any) -> Storage:
        return S3Storage(self.server.settings(self.bucket, prefix=prefix, page_size=7, **changes))

    def without_container(self) -> Storage:
        return S3Storage(self.server.settings("no-such-bucket-here"))

    def put(self, key: str, content: bytes) -> None:
        send(self.server, self.bucket, "PUT", {key: content})

    def delete(self, key: str) -> None:
        send(self.server, self.bucket, "DELETE", {key: b""})


def send(server: S3Server, bucket: str, method: str, contents: Mapping[str, bytes]) -> None:
    """One request for each (escaped) key, some at once, through the same transport as the adapter's."""
    settings = server.settings(bucket)
    address = S3Address(settings)
    signer = Signer(settings.credentials, region=server.region)
    places = asyncio.Semaphore(8)

    async def one(client: HttpClient, key: str, content: bytes) -> None:
        url = address.of_key(key)
        headers = await signer.sign(method, url, {}, payload=UNSIGNED_PAYLOAD)
        async with places, client.request(method, URL(url, encoded=True), headers=headers, data=content) as answer:
            if answer.status >= 300:
                raise CloudSyncError(f"{method} {key!r}: {answer.status} {await answer.text()}")

    async def main() -> None:
        async with HttpClient(settings.http, who="the storage") as client, asyncio.TaskGroup() as group:
            for key, content in contents.items():
                group.create_task(one(client, key, content))

    asyncio.run(main())


class MemorySubject(StorageSubject):
    """A bucket in memory."""

    hostile = HOSTILE_KEYS

    def __init__(self) -> None:
        self.bucket = MemoryBucket()

    def storage(self, prefix: str = "") -> MemoryStorage:
        return MemoryStorage(self.bucket, prefix=prefix, page_size=7)

    def without_container(self) -> Storage:
        return MemoryStorage(MemoryBucket(exists=False))

    def put(self, key: str, content: bytes) -> None:
        self.storage().put(key, content)

    def delete(self, key: str) -> None:
        self.storage().delete(key)


class LocalSubject(StorageSubject):
    """A folder."""

    hostile = keys_for(LOCAL)

    def __init__(self, root: Path) -> None:
        self.root = root

    def storage(self, prefix: str = "") -> LocalStorage:
        return LocalStorage(self.root / prefix, batch_size=7)

    def without_container(self) -> Storage:
        return LocalStorage(self.root / "no such folder")

    def path(self, key: str) -> Path:
        return self.root / unescape_bytes(key).decode("utf-8", "surrogateescape")

    def put(self, key: str, content: bytes) -> None:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def delete(self, key: str) -> None:
        self.path(key).unlink()
