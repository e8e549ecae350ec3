"""A file manager whose writer lost its lock is sent nothing more, and else nothing is different."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from cloudsync_pipeline.core.errors import LockLost
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.file_managers.fenced import Fenced
from cloudsync_pipeline.file_managers.memory import MemoryFileManager
from cloudsync_tests.contracts.file_manager import TENANT, Opened, an_upload
from cloudsync_tests.file_managers.test_memory_contract import TestMemoryWithEverything as Memory


class TestFencedMemory(Memory):
    def open(self, prefix: str = TENANT) -> Opened:
        inner = MemoryFileManager(self.files, destination_prefix=prefix, capabilities=self.expected)
        return Fenced(inner, lambda: None)


class _Lost:
    """A lock that is lost after so many looks at it."""

    def __init__(self, after: int = 0) -> None:
        self.left = after

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise LockLost("taken over", integration="acme")


@pytest.mark.parametrize(
    "call",
    [
        lambda files: files.put("a", an_upload(b"new", replace=True)),
        lambda files: files.move("a", "b"),
        lambda files: files.delete("a"),
        lambda files: files.set_permissions("a", Permissions("rw-------")),
        lambda files: files.report({"success": True}),
    ],
)
def test_nothing_is_sent_once_the_lock_is_lost(call: Callable[[Fenced], Awaitable[object]]) -> None:
    async def run() -> None:
        inner = MemoryFileManager()
        await inner.put("a", an_upload(b"old"))
        inner.calls.clear()
        with pytest.raises(LockLost):
            await call(Fenced(inner, _Lost().check))
        assert inner.calls == []
        assert inner.held.reports == []
        assert (await inner.get("a")).size == 3

    asyncio.run(run())


def test_an_upload_under_way_breaks_off_and_stores_nothing() -> None:
    async def run() -> None:
        inner, given = MemoryFileManager(), 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal given
            for _ in range(10):
                given += 1
                yield b"x" * 10

        with pytest.raises(LockLost):
            await Fenced(inner, _Lost(after=4).check).put("a", Upload(size=100, chunks=chunks()))
        assert given == 4
        assert inner.held.files == {}

    asyncio.run(run())
