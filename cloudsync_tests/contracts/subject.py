"""A storage that the contract's tests work on, and ways to ask it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import pyarrow as pa

from cloudsync_pipeline.storage.base import Storage
from cloudsync_tests.hostile_keys import HostileKey

T = TypeVar("T")


class StorageSubject:
    """A container of some implementation, empty at first, and what a customer does to it.

    Keys are escaped.
    """

    hostile: tuple[HostileKey, ...]
    """Those that it can hold, all at once."""

    @abstractmethod
    def storage(self, prefix: str = "") -> Storage:
        """A storage on the container, or on the folder in it whose name is given with a slash at its end."""

    @abstractmethod
    def without_container(self) -> Storage:
        """A storage on a container that does not exist."""

    @abstractmethod
    def put(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    def delete(self, key: str) -> None: ...


def with_storage(storage: Storage, use: Callable[[Storage], Awaitable[T]]) -> T:
    """Run a coroutine on a storage, and close it."""

    async def main() -> T:
        opened: AbstractAsyncContextManager[Storage] = storage
        async with opened as entered:
            return await use(entered)

    return asyncio.run(main())


async def batches_of(storage: Storage, prefix: str = "") -> list[pa.RecordBatch]:
    return [batch async for batch in storage.list(prefix)]


def rows_of(storage: Storage, prefix: str = "") -> list[dict[str, Any]]:
    batches = with_storage(storage, lambda opened: batches_of(opened, prefix))
    return [row for batch in batches for row in batch.to_pylist()]


def keys_of(storage: Storage, prefix: str = "") -> list[str]:
    return sorted(row["key"] for row in rows_of(storage, prefix))


async def content_of(storage: Storage, key: str, **asked: Any) -> bytes:
    async with storage.read(key, **asked) as body:
        content = b"".join([piece async for piece in body.chunks()])
        assert body.content in (None, content)
        return content
