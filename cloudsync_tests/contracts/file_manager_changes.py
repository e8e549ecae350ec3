"""What a file manager does that declares an ability to change or hold files: one suite for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from cloudsync_pipeline.core.errors import ContentMismatch, NotFound, PathRejected
from cloudsync_pipeline.file_managers.base import FileManager, Upload
from cloudsync_tests.contracts.file_manager import (
    NEIGHBOURS,
    TENANT,
    FileManagerSuite,
    a_failing_upload,
    an_upload,
    some_bytes,
)
from cloudsync_tests.hostile_keys import HOSTILE_KEYS


class AtomicPut(FileManagerSuite):
    """A path holds its old or its new content, whole."""

    proves: ClassVar = ("atomic_put",)

    @pytest.mark.parametrize("size", [10, 300_000, 2_500_000])
    def test_an_aborted_update_leaves_the_old_content(self, size: int) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"old and whole"))
            with pytest.raises(ContentMismatch):
                await manager.put("file", a_failing_upload(size, ContentMismatch("hash"), replace=True))
            assert self.held("file") == b"old and whole"

        self.run(scenario)

    @pytest.mark.parametrize("size", [10, 300_000, 2_500_000])
    def test_an_aborted_create_leaves_nothing(self, size: int) -> None:
        async def scenario(manager: FileManager) -> None:
            with pytest.raises(ContentMismatch):
                await manager.put("folder/file", a_failing_upload(size, ContentMismatch("hash")))
            assert self.everything() == {}

        self.run(scenario)

    @pytest.mark.parametrize("announced", [-1, 1])
    def test_a_wrong_number_of_bytes_leaves_the_old_content(self, announced: int) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"old and whole"))
            with pytest.raises(ContentMismatch):
                await manager.put("file", an_upload(some_bytes(200_000), size=200_000 + announced, replace=True))
            assert self.held("file") == b"old and whole"

        self.run(scenario)

    def test_a_cancelled_update_leaves_the_old_content(self) -> None:
        async def scenario(manager: FileManager) -> None:
            under_way = asyncio.Event()

            async def endless() -> AsyncIterator[bytes]:
                for _ in range(30):
                    yield b"n" * 64 * 1024
                under_way.set()
                await asyncio.Event().wait()

            await manager.put("file", an_upload(b"old and whole"))
            putting = asyncio.create_task(manager.put("file", Upload(5_000_000, endless(), replace=True)))
            await under_way.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            assert self.held("file") == b"old and whole"

        self.run(scenario)

    def test_a_reader_never_sees_a_part(self) -> None:
        async def scenario(manager: FileManager) -> None:
            old, new = b"o" * 500_000, b"n" * 400_000
            await manager.put("file", an_upload(old))
            putting = asyncio.create_task(manager.put("file", an_upload(new, replace=True, chunk=16 * 1024)))
            seen = set()
            while not putting.done():
                seen.add(self.held("file"))
                await asyncio.sleep(0)
            await putting
            assert seen <= {old, new}
            assert self.held("file") == new

        self.run(scenario)


class Moves(FileManagerSuite):
    """`move` renames without sending content."""

    proves: ClassVar = ("move",)

    def test_a_move_takes_the_content_along(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("old/place", an_upload(b"content"))
            moved = await manager.move("old/place", "new/place/here")
            assert moved.path == "new/place/here"
            assert moved.internal_id
            assert self.everything() == {f"{TENANT}/new/place/here": b"content"}

        self.run(scenario)

    def test_a_move_replaces_what_stood_there(self) -> None:
        async def scenario(manager: FileManager) -> None:
            moving = await manager.put("a", an_upload(b"moving"))
            await manager.put("b", an_upload(b"in the way"))
            moved = await manager.move("a", "b")
            assert self.everything() == {f"{TENANT}/b": b"moving"}
            if manager.capabilities.stable_ids:
                assert moved.internal_id == moving.internal_id

        self.run(scenario)

    def test_a_move_of_a_missing_file_is_not_found_and_the_target_stays(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("b", an_upload(b"stays"))
            with pytest.raises(NotFound):
                await manager.move("a", "b")
            assert self.held("b") == b"stays"

        self.run(scenario)

    def test_a_move_onto_itself_changes_nothing(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("a", an_upload(b"content"))
            assert (await manager.move("a", "a")).path == "a"
            assert self.held("a") == b"content"

        self.run(scenario)

    @pytest.mark.parametrize(("path", "new_path"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a"), ("a", "a/b/c")])
    def test_a_file_moves_below_or_above_itself(self, path: str, new_path: str) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put(path, an_upload(b"content"))
            await manager.move(path, new_path)
            assert self.everything() == {f"{TENANT}/{new_path}": b"content"}

        self.run(scenario)

    def test_a_move_to_a_hostile_path_is_done_or_rejected(self) -> None:
        async def scenario(manager: FileManager) -> None:
            for hostile in HOSTILE_KEYS:
                await manager.put("safe", an_upload(hostile.content))
                try:
                    moved = await manager.move("safe", hostile.key)
                except PathRejected:
                    assert self.everything() == {f"{TENANT}/safe": hostile.content}, hostile
                    continue
                assert moved.path == hostile.key
                assert self.everything() == {f"{TENANT}/{hostile.key}": hostile.content}, hostile
                assert (await manager.move(hostile.key, "safe")).path == "safe"
                assert self.everything() == {f"{TENANT}/safe": hostile.content}, hostile

        self.run(scenario)


class Deletes(FileManagerSuite):
    """`delete` removes one file."""

    proves: ClassVar = ("delete",)

    def test_a_delete_removes_only_that_file(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("folder/a", an_upload(b"a"))
            await manager.put("folder/b", an_upload(b"b"))
            await manager.delete("folder/a")
            assert self.everything() == {f"{TENANT}/folder/b": b"b"}

        self.run(scenario)

    def test_a_second_delete_is_not_found(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("file", an_upload(b"x"))
            await manager.delete("file")
            with pytest.raises(NotFound):
                await manager.delete("file")

        self.run(scenario)

    def test_a_folder_is_no_file_to_delete(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("folder/file", an_upload(b"x"))
            with pytest.raises(NotFound):
                await manager.delete("folder")
            assert self.held("folder/file") == b"x"

        self.run(scenario)

    def test_deleting_a_hostile_path_touches_no_other(self) -> None:
        async def within() -> None:
            for prefix in NEIGHBOURS:
                async with self.open(prefix) as neighbour:
                    await neighbour.put("x", an_upload(b"neighbour"))
            before = self.everything()
            async with self.open() as manager:
                for hostile in HOSTILE_KEYS:
                    try:
                        await manager.put(hostile.key, an_upload(b"x"))
                    except PathRejected:
                        with pytest.raises((NotFound, PathRejected)):
                            await manager.delete(hostile.key)
                    else:
                        await manager.delete(hostile.key)
                    assert self.everything() == before, hostile

        asyncio.run(within())


class FoldersAreFiles(FileManagerSuite):
    """`a` and `a/b` can both be files."""

    proves: ClassVar = ("folders_are_files",)

    def test_a_file_stands_beside_a_folder_of_its_name(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("a", an_upload(b"file"))
            await manager.put("a/b", an_upload(b"below"))
            assert (self.held("a"), self.held("a/b")) == (b"file", b"below")

        self.run(scenario)


class FoldersAreNoFiles(FileManagerSuite):
    """Where `folders_are_files` is not declared, the later one of both is rejected."""

    @pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c"), ("a/b/c", "a")])
    def test_the_later_of_file_and_folder_is_rejected(self, first: str, second: str) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put(first, an_upload(b"first"))
            with pytest.raises(PathRejected) as rejected:
                await manager.put(second, an_upload(b"second"))
            assert rejected.value.remedy
            assert self.everything() == {f"{TENANT}/{first}": b"first"}
            await manager.delete(first)
            await manager.put(second, an_upload(b"second"))
            assert self.everything() == {f"{TENANT}/{second}": b"second"}

        self.run(scenario)

    @pytest.mark.parametrize(("standing", "target"), [("a", "a/b"), ("a/b", "a")])
    def test_a_move_onto_it_is_rejected_and_moves_nothing(self, standing: str, target: str) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put(standing, an_upload(b"standing"))
            await manager.put("moving", an_upload(b"moving"))
            with pytest.raises(PathRejected):
                await manager.move("moving", target)
            assert self.everything() == {f"{TENANT}/{standing}": b"standing", f"{TENANT}/moving": b"moving"}

        self.run(scenario)


class CaseSensitive(FileManagerSuite):
    """`A` and `a` are two paths."""

    proves: ClassVar = ("case_sensitive",)

    def test_two_cases_are_two_files(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("Folder/File", an_upload(b"upper"))
            await manager.put("folder/file", an_upload(b"lower"))
            assert (self.held("Folder/File"), self.held("folder/file")) == (b"upper", b"lower")

        self.run(scenario)


class CaseInsensitive(FileManagerSuite):
    """Where `case_sensitive` is not declared, the later one of two cases is rejected."""

    @pytest.mark.parametrize(("first", "second"), [("File", "file"), ("A/x", "a/y"), ("a/B/c", "a/b/d")])
    def test_the_later_of_two_cases_is_rejected(self, first: str, second: str) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put(first, an_upload(b"first"))
            with pytest.raises(PathRejected):
                await manager.put(second, an_upload(b"second"))
            assert self.everything() == {f"{TENANT}/{first}": b"first"}

        self.run(scenario)

    def test_a_rename_that_changes_only_the_case_works(self) -> None:
        async def scenario(manager: FileManager) -> None:
            await manager.put("Folder/File", an_upload(b"x"))
            await manager.move("Folder/File", "folder/file")
            assert self.everything() == {f"{TENANT}/folder/file": b"x"}

        self.run(scenario)
