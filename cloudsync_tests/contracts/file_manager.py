"""What every file manager does, whatever it can do: the suite of `file_managers.base`.

A test class of an implementation takes `FileManagerContract` and the class of each ability that it declares, and
says how to make one (`open`) and how to look at what is really held (`held`). What it does not declare is asserted
to raise.
"""

from __future__ import annotations

import asyncio
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, CapabilityMissing, ContentMismatch, PathRejected
from cloudsync_pipeline.core.records import FileState, Permissions, Piece
from cloudsync_pipeline.file_managers.base import FileManager, FileManagerCapabilities, Upload
from cloudsync_tests.hostile_keys import HOSTILE_KEYS, HostileKey

TENANT = "tenant"
NEIGHBOURS = ("tenant2", "ten", "other")
"""Prefixes that a careless comparison would take for the tenant's, and one that it would not."""

Opened = AbstractAsyncContextManager[FileManager]
BOOLEANS = [field.name for field in dataclasses.fields(FileManagerCapabilities) if field.type == "bool"]


def an_upload(content: bytes, /, *, replace: bool = False, chunk: int = 64 * 1024, **changes: Any) -> Upload:
    """Content as it would come from a storage."""

    async def chunks() -> AsyncIterator[Piece]:
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    values: dict[str, Any] = {"size": len(content), "chunks": chunks(), "replace": replace}
    return Upload(**values | changes)


def a_failing_upload(size: int, error: BaseException, *, replace: bool = False, chunk: int = 64 * 1024) -> Upload:
    """Content whose verification fails: `error` comes in place of the last chunk."""

    async def chunks() -> AsyncIterator[Piece]:
        left = size
        while left > chunk:
            yield b"n" * chunk
            left -= chunk
        raise error

    return Upload(size=size, chunks=chunks(), replace=replace)


def some_bytes(size: int) -> bytes:
    """Bytes in which nothing repeats early, so that a chunk at the wrong place shows."""
    return b"".join(index.to_bytes(4, "big") for index in range(size // 4 + 1))[:size]


class FileManagerSuite(ABC):
    """What a test class of an implementation gives to the suites."""

    expected: ClassVar[FileManagerCapabilities]

    def __init_subclass__(cls) -> None:
        # Of two tests with one name only one would run, and nobody would notice.
        owners: dict[str, type] = {}
        for suite in cls.__mro__:
            for name in vars(suite):
                if name.startswith("test_") and owners.setdefault(name, suite) is not suite:
                    raise TypeError(f"{name} stands in both {owners[name].__name__} and {suite.__name__}")

    @abstractmethod
    def open(self, prefix: str = TENANT) -> Opened:
        """A new, connected file manager; each call on the same underlying files."""

    @abstractmethod
    def held(self, path: str, prefix: str = TENANT) -> bytes | None:
        """What is really held at a path, asked of something else than the file manager; None where nothing is."""

    @abstractmethod
    def everything(self) -> dict[str, bytes]:
        """All that is really held, by full path, whatever the prefix."""

    def run(self, scenario: Callable[[FileManager], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario with a file manager of the tenant."""

        async def within() -> None:
            async with self.open() as manager:
                await scenario(manager)

        asyncio.run(within())


class FileManagerContract(FileManagerSuite):
    """What holds for all."""

    def test_capabilities_are_those_expected(self) -> None:
        async def scenario(manager: FileManager) -> None:
            assert manager.capabilities == self.expected

        self.run(scenario)

    def test_the_suite_of_each_declared_ability_is_run(self) -> None:
        taken = {ability for suite in type(self).__mro__ for ability in vars(suite).get("proves", ())}
        assert taken == {name for name in BOOLEANS if getattr(self.expected, name)}

    def test_what_is_not_declared_raises(self) -> None:
        async def scenario(manager: FileManager) -> None:
            calls: dict[str, list[Callable[[], Coroutine[Any, Any, object]]]] = {
                "move": [lambda: manager.move("f", "g")],
                "delete": [lambda: manager.delete("f")],
                "probe": [lambda: manager.get("f")],
                "permissions": [
                    lambda: manager.read_permissions("f"),
                    lambda: manager.set_permissions("f", Permissions("rw-rw-rw-")),
                ],
                "list": [lambda: _drain(manager.list())],
                "read": [lambda: _enter(manager.read("f"))],
            }
            await manager.put("f", an_upload(b"content"))
            for ability, ways in calls.items():
                if getattr(manager.capabilities, ability):
                    continue
                for way in ways:
                    with pytest.raises(CapabilityMissing, match=ability):
                        await way()
            assert self.held("f") == b"content"

        self.run(scenario)

    def test_connecting_again_changes_nothing(self) -> None:
        async def scenario(manager: FileManager) -> None:
            before = manager.capabilities
            await manager.connect()
            assert manager.capabilities == before

        self.run(scenario)

    def test_identity_names_the_kind_and_the_prefix(self) -> None:
        async def scenario(manager: FileManager) -> None:
            assert manager.identity["type"]
            assert manager.identity["destination_prefix"] == TENANT

        self.run(scenario)

    @pytest.mark.parametrize("in_memory", [False, True])
    @pytest.mark.parametrize("size", [0, 1, 8192, 64 * 1024, 1024 * 1024, 1024 * 1024 + 1, 3_500_000])
    def test_put_stores_every_byte(self, size: int, in_memory: bool) -> None:
        async def scenario(manager: FileManager) -> None:
            content = some_bytes(size)
            upload = an_upload(content, content=content if in_memory else None)
            acknowledged = await manager.put("folder/file", upload)
            assert acknowledged.path == "folder/file"
            assert acknowledged.internal_id
            assert acknowledged.size in (None, size)
            assert self.held("folder/file") == content

        self.run(scenario)

    def test_put_takes_chunks_of_any_size(self) -> None:
        async def scenario(manager: FileManager) -> None:
            content = some_bytes(100_000)

            async def uneven() -> AsyncIterator[Piece]:
                yield content[:1]
                yield b""
                yield content[1:70_000]
                yield content[70_000:]
                yield b""

            await manager.put("uneven", Upload(len(content), uneven()))
            assert self.held("uneven") == content

        self.run(scenario)

    def test_a_second_put_replaces(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"a longer first content"))
            await manager.put("file", an_upload(b"second", replace=True))
            assert self.held("file") == b"second"

        self.run(scenario)

    def test_sending_a_create_again_stores_it_again(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"content"))
            await manager.put("file", an_upload(b"content"))
            assert self.held("file") == b"content"

        self.run(scenario)

    @pytest.mark.parametrize("in_memory", [False, True])
    @pytest.mark.parametrize("size", [10, 100_000, 2_500_000])
    @pytest.mark.parametrize("announced", [-1, 1])
    def test_another_number_of_bytes_than_announced_is_a_mismatch(
        self, size: int, announced: int, in_memory: bool
    ) -> None:
        async def scenario(manager: FileManager) -> None:
            content = some_bytes(size)
            with pytest.raises(ContentMismatch):
                await manager.put(
                    "file", an_upload(content, size=size + announced, content=content if in_memory else None)
                )

        self.run(scenario)

    @pytest.mark.parametrize("size", [10, 2_500_000])
    @pytest.mark.parametrize(
        "error", [ContentMismatch("the hash differs"), BadAnswer("ended early"), RuntimeError("x")], ids=type
    )
    def test_an_error_of_the_content_comes_through_as_it_is(self, size: int, error: Exception) -> None:
        async def scenario(manager: FileManager) -> None:
            with pytest.raises(type(error)) as caught:
                await manager.put("file", a_failing_upload(size, error))
            assert caught.value is error
            # And the file manager can be used as before.
            await manager.put("next", an_upload(b"next"))
            assert self.held("next") == b"next"

        self.run(scenario)

    def test_many_uploads_at_once_keep_apart(self) -> None:
        async def scenario(manager: FileManager) -> None:
            contents = {f"folder{index % 3}/file{index}": some_bytes(1000 + index) for index in range(60)}
            await asyncio.gather(*(manager.put(path, an_upload(content)) for path, content in contents.items()))
            assert self.everything() == {f"{TENANT}/{path}": content for path, content in contents.items()}

        self.run(scenario)

    def test_prefixes_never_see_each_other(self) -> None:
        async def within() -> None:
            async with self.open() as manager:
                await manager.put("file", an_upload(b"the tenant's"))
                for prefix in NEIGHBOURS:
                    async with self.open(prefix) as neighbour:
                        await neighbour.put("file", an_upload(prefix.encode()))
                        await neighbour.put("only-here", an_upload(prefix.encode()))
            assert self.held("file") == b"the tenant's"
            assert self.held("only-here") is None
            for prefix in NEIGHBOURS:
                assert self.held("file", prefix) == prefix.encode()

        asyncio.run(within())

    def test_an_empty_prefix_is_the_root(self) -> None:
        async def within() -> None:
            async with self.open("") as manager:
                assert (await manager.put("file", an_upload(b"x"))).path == "file"
            assert self.held("file", "") == b"x"

        asyncio.run(within())

    def test_hostile_paths_are_held_as_themselves_or_rejected(self) -> None:
        async def within() -> None:
            async with self.open("other") as neighbour:
                await neighbour.put("x", an_upload(b"the neighbour's"))
            expected = {"other/x": b"the neighbour's"}
            async with self.open() as manager:
                # Backwards, so that the file beside a folder is the later one.
                for hostile in reversed(HOSTILE_KEYS):
                    if self.holds(hostile):
                        state = await manager.put(hostile.key, an_upload(hostile.content))
                        assert state.path == hostile.key
                        expected[f"{TENANT}/{hostile.key}"] = hostile.content
                    else:
                        with pytest.raises(PathRejected) as rejected:
                            await manager.put(hostile.key, an_upload(hostile.content))
                        assert rejected.value.remedy, hostile
                        assert rejected.value.key == hostile.key
            assert self.everything() == expected

        asyncio.run(within())

    def holds(self, hostile: HostileKey) -> bool:
        """Whether this implementation can hold a path beside those that come after it in the list."""
        return True

    def test_an_empty_path_is_rejected(self) -> None:
        async def scenario(manager: FileManager) -> None:
            with pytest.raises(PathRejected):
                await manager.put("", an_upload(b"x"))

        self.run(scenario)

    def test_the_limits_declared_are_those_kept(self) -> None:
        async def scenario(manager: FileManager) -> None:
            longest = manager.capabilities.max_name_bytes
            if longest is not None:
                await manager.put("n" * longest, an_upload(b"x"))
                with pytest.raises(PathRejected, match=str(longest)):
                    await manager.put("n" * (longest + 1), an_upload(b"x"))
            most = manager.capabilities.max_path_bytes
            if most is not None:
                with pytest.raises(PathRejected, match=str(most)):
                    await manager.put("/".join(["long"] * most)[: most + 1].rstrip("/") + "xx", an_upload(b"x"))

        self.run(scenario)

    def test_flush_report_and_health_succeed(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"x"))
            await manager.flush()
            await manager.report({"sync_type": "initial", "success": True, "errors": []})
            await manager.health()
            assert list(self.everything()) == ["tenant/file"]

        self.run(scenario)


async def _drain(listing: AsyncIterator[FileState]) -> list[FileState]:
    return [state async for state in listing]


async def _enter(opened: AbstractAsyncContextManager[AsyncIterator[Piece]]) -> bytes:
    async with opened as chunks:
        return b"".join([chunk async for chunk in chunks])
