"""What a file manager does that declares an ability to tell of its files: one suite for each."""

from __future__ import annotations

import asyncio
import hashlib
from typing import ClassVar

import pytest

from cloudsync_pipeline.core.errors import NotFound, PathRejected
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.file_managers.base import FileManager
from cloudsync_tests.contracts.file_manager import (
    NEIGHBOURS,
    FileManagerSuite,
    an_upload,
    some_bytes,
)
from cloudsync_tests.hostile_keys import HOSTILE_KEYS


async def _content(manager: FileManager, path: str) -> bytes:
    async with manager.read(path) as chunks:
        return b"".join([chunk async for chunk in chunks])


class Probes(FileManagerSuite):
    """`get` tells the truth about a path."""

    proves: ClassVar = ("probe",)

    def test_get_tells_what_put_acknowledged(self) -> None:
        async def scenario(manager: FileManager) -> None:
            acknowledged = await manager.put("file", an_upload(b"content", content_type="text/plain"))
            found = await manager.get("file")
            assert (found.path, found.internal_id) == ("file", acknowledged.internal_id)
            assert found.size in (None, 7)

        self.run(scenario)

    def test_get_of_a_missing_file_is_not_found(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("folder/file", an_upload(b"x"))
            for path in ("missing", "folder", "folder/missing", "folder/file/below"):
                with pytest.raises(NotFound):
                    await manager.get(path)

        self.run(scenario)

    def test_get_finds_no_neighbour(self) -> None:
        async def within() -> None:
            async with self.open("other") as neighbour:
                await neighbour.put("theirs", an_upload(b"x"))
            async with self.open() as manager:
                for path in ("theirs", "other/theirs"):
                    with pytest.raises(NotFound):
                        await manager.get(path)

        asyncio.run(within())

    def test_hostile_paths_are_found_as_themselves(self) -> None:
        async def scenario(manager: FileManager) -> None:
            for hostile in HOSTILE_KEYS:
                try:
                    await manager.put(hostile.key, an_upload(hostile.content))
                except PathRejected:
                    with pytest.raises((NotFound, PathRejected)):
                        await manager.get(hostile.key)
                else:
                    found = await manager.get(hostile.key)
                    assert (found.path, found.size) == (hostile.key, len(hostile.content))

        self.run(scenario)


class KeepsPermissions(FileManagerSuite):
    """`read_permissions` and `set_permissions`."""

    proves: ClassVar = ("permissions",)

    def test_permissions_that_are_set_are_read(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"x"))
            desired = Permissions("rwxr-x---", "alice", "staff")
            assert await manager.set_permissions("file", desired) == desired
            assert await manager.read_permissions("file") == desired

        self.run(scenario)

    def test_permissions_that_are_not_named_stay(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"x"))
            await manager.set_permissions("file", Permissions("rw-------", "alice", "staff"))
            await manager.set_permissions("file", Permissions(owner="bob"))
            assert await manager.read_permissions("file") == Permissions("rw-------", "bob", "staff")

        self.run(scenario)

    def test_updates_and_moves_keep_the_permissions(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"x"))
            desired = Permissions("r--r-----", "alice", "staff")
            await manager.set_permissions("file", desired)
            await manager.put("file", an_upload(b"new", replace=True))
            assert await manager.read_permissions("file") == desired
            if manager.capabilities.move:
                await manager.move("file", "moved")
                assert await manager.read_permissions("moved") == desired

        self.run(scenario)

    def test_setting_permissions_leaves_the_content(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"content"))
            await manager.set_permissions("file", Permissions("---------"))
            await manager.set_permissions("file", Permissions("rw-r--r--"))
            assert self.held("file") == b"content"

        self.run(scenario)

    def test_permissions_of_a_missing_file_are_not_found(self) -> None:
        async def scenario(manager: FileManager) -> None:
            with pytest.raises(NotFound):
                await manager.read_permissions("missing")
            with pytest.raises(NotFound):
                await manager.set_permissions("missing", Permissions("rw-r--r--"))
            assert self.everything() == {}

        self.run(scenario)


class TellsPermissions(FileManagerSuite):
    """What `put` returns tells the permissions."""

    proves: ClassVar = ("permissions_in_answers",)

    def test_a_create_and_an_update_tell_the_permissions(self) -> None:
        async def scenario(manager: FileManager) -> None:
            created = await manager.put("file", an_upload(b"x"))
            assert created.permissions.permissions
            assert created.permissions == await manager.read_permissions("file")
            await manager.set_permissions("file", Permissions("rw-rw----", "alice"))
            updated = await manager.put("file", an_upload(b"y", replace=True))
            assert updated.permissions == await manager.read_permissions("file")
            assert (updated.permissions.permissions, updated.permissions.owner) == ("rw-rw----", "alice")

        self.run(scenario)


class Lists(FileManagerSuite):
    """`list` gives every file of the tenant once."""

    proves: ClassVar = ("list",)

    def test_an_empty_list_where_nothing_is(self) -> None:
        async def scenario(manager: FileManager) -> None:
            assert [state async for state in manager.list()] == []

        self.run(scenario)

    def test_the_list_has_every_file_once_and_no_neighbour(self) -> None:
        async def within() -> None:
            for prefix in NEIGHBOURS:
                async with self.open(prefix) as neighbour:
                    await neighbour.put("theirs", an_upload(b"x"))
            async with self.open() as manager:
                paths = {f"folder{index % 7}/{index}" for index in range(120)}
                await asyncio.gather(*(manager.put(path, an_upload(path.encode())) for path in paths))
                listed = [state async for state in manager.list()]
                assert sorted(state.path for state in listed) == sorted(paths)
                assert all(state.internal_id and state.size == len(state.path) for state in listed)

        asyncio.run(within())

    def test_the_list_tells_what_get_tells(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"content", content_type="text/plain"))
            assert [state async for state in manager.list()] == [await manager.get("file")]

        self.run(scenario)

    def test_the_list_has_all_hostile_paths_at_once(self) -> None:
        async def scenario(manager: FileManager) -> None:
            held = set()
            for hostile in HOSTILE_KEYS:
                try:
                    await manager.put(hostile.key, an_upload(hostile.content))
                except PathRejected:
                    continue
                held.add((hostile.key, len(hostile.content)))
            assert {(state.path, state.size) async for state in manager.list()} == held

        self.run(scenario)

    def test_a_listing_can_be_left(self) -> None:
        async def scenario(manager: FileManager) -> None:
            for index in range(5):
                await manager.put(f"folder/{index}", an_upload(b"x"))
            listing = manager.list()
            await anext(listing)
            await listing.aclose()  # type: ignore[attr-defined]
            assert len([state async for state in manager.list()]) == 5

        self.run(scenario)


class Reads(FileManagerSuite):
    """`read` gives the bytes back."""

    proves: ClassVar = ("read",)

    @pytest.mark.parametrize("size", [0, 10, 1_500_000])
    def test_read_gives_every_byte_back(self, size: int) -> None:
        async def scenario(manager: FileManager) -> None:
            content = some_bytes(size)
            await manager.put("file", an_upload(content))
            assert await _content(manager, "file") == content

        self.run(scenario)

    def test_a_read_of_a_missing_file_is_not_found(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("folder/file", an_upload(b"x"))
            for path in ("missing", "folder"):
                with pytest.raises(NotFound):
                    await _content(manager, path)

        self.run(scenario)

    def test_a_read_can_be_left(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(some_bytes(1_500_000)))
            async with manager.read("file") as chunks:
                assert await anext(chunks)
            await manager.put("file", an_upload(b"new", replace=True))
            assert self.held("file") == b"new"

        self.run(scenario)

    def test_hostile_paths_are_read_as_themselves(self) -> None:
        async def scenario(manager: FileManager) -> None:
            for hostile in HOSTILE_KEYS:
                try:
                    await manager.put(hostile.key, an_upload(hostile.content))
                except PathRejected:
                    with pytest.raises((NotFound, PathRejected)):
                        await _content(manager, hostile.key)
                else:
                    assert await _content(manager, hostile.key) == hostile.content, hostile

        self.run(scenario)


class Hashes(FileManagerSuite):
    """Acknowledgements and `get` carry a digest of the content."""

    proves: ClassVar = ("content_hash",)

    @pytest.mark.parametrize("size", [0, 10, 1_500_000])
    def test_the_fingerprint_is_that_of_the_content(self, size: int) -> None:
        async def scenario(manager: FileManager) -> None:
            content = some_bytes(size)
            right = Fingerprint("md5", hashlib.md5(content).hexdigest(), size)
            assert (await manager.put("file", an_upload(content))).fingerprint == right
            assert (await manager.get("file")).fingerprint == right
            assert (await manager.move("file", "moved")).fingerprint == right

        self.run(scenario)


class StableIds(FileManagerSuite):
    """The internal id of a file is its own for as long as it lives."""

    proves: ClassVar = ("stable_ids",)

    def test_updates_and_moves_keep_the_id(self) -> None:
        async def scenario(manager: FileManager) -> None:
            created = await manager.put("file", an_upload(b"first"))
            updated = await manager.put("file", an_upload(b"second", replace=True))
            moved = await manager.move("file", "moved")
            found = await manager.get("moved")
            assert {state.internal_id for state in (created, updated, moved, found)} == {created.internal_id}

        self.run(scenario)

    def test_files_have_ids_of_their_own(self) -> None:
        async def scenario(manager: FileManager) -> None:
            states = [await manager.put(f"file{index}", an_upload(b"same")) for index in range(20)]
            assert len({state.internal_id for state in states}) == 20

        self.run(scenario)

    def test_a_file_made_anew_has_a_new_id(self) -> None:
        async def scenario(manager: FileManager) -> None:
            ids = set()
            for _ in range(10):
                ids.add((await manager.put("file", an_upload(b"same"))).internal_id)
                await manager.delete("file")
            assert len(ids) == 10

        self.run(scenario)

    def test_a_second_file_manager_knows_the_id(self) -> None:
        async def within() -> None:
            async with self.open() as manager:
                created = await manager.put("file", an_upload(b"x"))
                updated = await manager.put("file", an_upload(b"y", replace=True))
            async with self.open() as again:
                found = await again.get("file")
            assert found.internal_id == created.internal_id == updated.internal_id

        asyncio.run(within())
