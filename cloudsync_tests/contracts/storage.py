"""The contract of a storage, as tests; a subclass gives a `subject` and passes."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from cloudsync_pipeline.core.errors import (
    CapabilityMissing,
    ContainerNotFound,
    NotFound,
    PreconditionFailed,
    Rejected,
)
from cloudsync_pipeline.core.records import Piece
from cloudsync_pipeline.storage.base import LISTING_SCHEMA, Storage
from cloudsync_tests.contracts.subject import StorageSubject, batches_of, content_of, keys_of, rows_of, with_storage

_CLOCK = timedelta(seconds=2)
"""A `Date` has whole seconds."""


class StorageContract:
    """The tests; `subject` is a fixture of the subclass."""

    # --- list -------------------------------------------------------------------------------------

    def test_an_empty_container_lists_nothing(self, subject: StorageSubject) -> None:
        assert with_storage(subject.storage(), batches_of) == []

    def test_each_object_is_listed_once_with_its_size_label_and_times(self, subject: StorageSubject) -> None:
        before = datetime.now(UTC)
        contents = {f"folder {n % 3}/object {n}": b"x" * n for n in range(25)}
        for key, content in contents.items():
            subject.put(key, content)

        rows = rows_of(subject.storage())

        assert {row["key"]: row["size"] for row in rows} == {key: len(content) for key, content in contents.items()}
        assert len(rows) == len(contents)
        assert all(row["etag"] and '"' not in row["etag"] for row in rows)
        now = datetime.now(UTC)
        assert all(before - _CLOCK <= row["last_modified"] <= now + _CLOCK for row in rows)
        assert all(before <= row["observed_at"] <= now for row in rows)

    def test_batches_have_the_schema_and_are_neither_empty_nor_large(self, subject: StorageSubject) -> None:
        for n in range(25):
            subject.put(f"object {n}", b"")

        batches = with_storage(subject.storage(), batches_of)

        assert len(batches) > 1, "the subject is to be given with small pages"
        assert all(batch.schema == LISTING_SCHEMA for batch in batches)
        assert all(1 <= batch.num_rows <= 10_000 for batch in batches)

    def test_a_prefix_lists_the_keys_that_begin_with_it(self, subject: StorageSubject) -> None:
        for key in ("a/1", "a/2", "ab/3", "b/4"):
            subject.put(key, b"x")

        assert keys_of(subject.storage(), "a/") == ["a/1", "a/2"]
        assert keys_of(subject.storage(), "a") == ["a/1", "a/2", "ab/3"]
        assert keys_of(subject.storage(), "none") == []

    def test_the_storages_own_prefix_is_hidden_from_the_keys(self, subject: StorageSubject) -> None:
        for key in ("team/1", "team/x/2", "team2/3", "4"):
            subject.put(key, b"of " + key.encode())

        def rooted() -> Storage:
            return subject.storage("team/")

        assert keys_of(rooted()) == ["1", "x/2"]
        assert keys_of(rooted(), "x/") == ["x/2"]
        assert with_storage(rooted(), lambda storage: storage.head("x/2")).key == "x/2"
        assert with_storage(rooted(), lambda storage: content_of(storage, "1")) == b"of team/1"
        with pytest.raises(NotFound):
            with_storage(rooted(), lambda storage: storage.head("4"))

    def test_a_listing_shows_the_current_state(self, subject: StorageSubject) -> None:
        subject.put("stays", b"1")
        subject.put("goes", b"1")
        old = {row["key"]: row["etag"] for row in rows_of(subject.storage())}

        subject.delete("goes")
        subject.put("stays", b"other")

        new = {row["key"]: row["etag"] for row in rows_of(subject.storage())}
        assert set(new) == {"stays"}
        assert new["stays"] != old["stays"]

    def test_a_listing_that_is_left_early_leaves_nothing_behind(self, subject: StorageSubject) -> None:
        for n in range(25):
            subject.put(f"object {n}", b"")

        async def first(storage: Storage) -> int:
            pages = storage.list()
            batch = await anext(pages)
            await pages.aclose()  # type: ignore[attr-defined]
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert others == set()
            return batch.num_rows

        assert with_storage(subject.storage(), first) > 0

    # --- head -------------------------------------------------------------------------------------

    def test_head_and_listing_agree(self, subject: StorageSubject) -> None:
        subject.put("folder/object", b"content")
        (row,) = rows_of(subject.storage())

        found = with_storage(subject.storage(), lambda storage: storage.head("folder/object"))

        assert (found.key, found.size, found.etag) == (row["key"], row["size"], row["etag"])
        assert found.last_modified is not None
        assert abs(found.last_modified - row["last_modified"]) < _CLOCK
        assert found.observed_at > row["observed_at"]

    def test_head_of_a_missing_key_is_not_found(self, subject: StorageSubject) -> None:
        subject.put("here", b"x")

        with pytest.raises(NotFound, match="missing"):
            with_storage(subject.storage(), lambda storage: storage.head("missing"))

    def test_a_folder_is_no_object(self, subject: StorageSubject) -> None:
        subject.put("folder/object", b"x")

        with pytest.raises(NotFound):
            with_storage(subject.storage(), lambda storage: storage.head("folder"))

    def test_a_deleted_object_is_not_found(self, subject: StorageSubject) -> None:
        subject.put("object", b"x")
        subject.delete("object")

        with pytest.raises(NotFound):
            with_storage(subject.storage(), lambda storage: storage.head("object"))

    def test_a_fingerprint_is_the_contents_or_none(self, subject: StorageSubject) -> None:
        subject.put("object", b"content")

        async def look(storage: Storage) -> None:
            found = await storage.head("object")
            if not storage.capabilities.etag_may_be_md5:
                assert found.fingerprint is None
                return
            assert found.fingerprint is not None
            assert found.fingerprint.kind == "md5"
            assert found.fingerprint.value == hashlib.md5(b"content").hexdigest()
            assert found.fingerprint.size == 7

        with_storage(subject.storage(), look)

    # --- read -------------------------------------------------------------------------------------

    def test_a_read_gives_the_bytes_and_what_they_are_of(self, subject: StorageSubject) -> None:
        subject.put("object", b"some content")

        async def look(storage: Storage) -> None:
            async with storage.read("object") as body:
                found = await storage.head("object")
                assert (body.object.key, body.object.size, body.object.etag) == ("object", 12, found.etag)
                assert body.object.fingerprint == found.fingerprint
                assert b"".join([piece async for piece in body.chunks()]) == b"some content"

        with_storage(subject.storage(), look)

    def test_an_empty_object_is_read(self, subject: StorageSubject) -> None:
        subject.put("empty", b"")

        assert with_storage(subject.storage(), lambda storage: content_of(storage, "empty")) == b""
        assert with_storage(subject.storage(), lambda storage: content_of(storage, "empty", length=5)) == b""

    def test_pieces_are_at_most_a_mebibyte(self, subject: StorageSubject) -> None:
        content = bytes(range(256)) * 12_000
        subject.put("large", content)

        async def pieces(storage: Storage) -> list[Piece]:
            async with storage.read("large") as body:
                return [piece async for piece in body.chunks()]

        got = with_storage(subject.storage(), pieces)
        assert b"".join(got) == content
        assert all(0 < len(piece) <= 1024 * 1024 for piece in got)

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 4, b"3456"), (6, None, b"6789"), (8, 100, b"89"), (9, 1, b"9"), (0, 10, b"0123456789")],
    )
    def test_a_part_is_read(self, subject: StorageSubject, start: int, length: int | None, expected: bytes) -> None:
        subject.put("object", b"0123456789")

        async def look(storage: Storage) -> bytes:
            async with storage.read("object", start=start, length=length) as body:
                assert body.object.size == 10, "the size is the whole object's"
                return b"".join([piece async for piece in body.chunks()])

        if subject.storage().capabilities.ranges:
            assert with_storage(subject.storage(), look) == expected
        else:
            with pytest.raises(CapabilityMissing):
                with_storage(subject.storage(), look)

    @pytest.mark.parametrize("start", [10, 11])
    def test_a_part_beyond_the_end_is_refused(self, subject: StorageSubject, start: int) -> None:
        subject.put("object", b"0123456789")

        with pytest.raises((Rejected, CapabilityMissing)):
            with_storage(subject.storage(), lambda storage: content_of(storage, "object", start=start))

    @pytest.mark.parametrize("asked", [{"start": -1}, {"length": 0}])
    def test_a_part_that_cannot_be_is_the_callers_mistake(self, subject: StorageSubject, asked: dict[str, int]) -> None:
        subject.put("object", b"0123456789")

        with pytest.raises(ValueError, match="no part"):
            with_storage(subject.storage(), lambda storage: content_of(storage, "object", **asked))

    def test_a_read_on_the_current_version_is_answered(self, subject: StorageSubject) -> None:
        subject.put("object", b"content")

        async def look(storage: Storage) -> bytes:
            return await content_of(storage, "object", if_match=(await storage.head("object")).etag, start=3)

        assert with_storage(subject.storage(), look) == b"tent"

    @pytest.mark.parametrize("asked", [{}, {"start": 2}, {"start": 0, "length": 1}])
    def test_a_read_on_another_version_is_refused(self, subject: StorageSubject, asked: dict[str, int]) -> None:
        subject.put("object", b"content")
        old = with_storage(subject.storage(), lambda storage: storage.head("object")).etag
        subject.put("object", b"another content")

        with pytest.raises((PreconditionFailed, CapabilityMissing)):
            with_storage(subject.storage(), lambda storage: content_of(storage, "object", if_match=old, **asked))

    def test_a_read_of_a_missing_key_is_not_found(self, subject: StorageSubject) -> None:
        with pytest.raises(NotFound, match="missing"):
            with_storage(subject.storage(), lambda storage: content_of(storage, "missing"))

    def test_many_reads_at_once_do_not_mix(self, subject: StorageSubject) -> None:
        contents = {f"object {n}": str(n).encode() * 1000 for n in range(20)}
        for key, content in contents.items():
            subject.put(key, content)

        async def look(storage: Storage) -> list[bytes]:
            return await asyncio.gather(*(content_of(storage, key) for key in contents))

        assert with_storage(subject.storage(), look) == list(contents.values())

    def test_a_read_that_is_left_early_does_not_disturb_the_next(self, subject: StorageSubject) -> None:
        content = b"large" * 1_000_000
        subject.put("large", content)

        async def look(storage: Storage) -> bytes:
            async with storage.read("large") as body:
                await anext(aiter(body.chunks()))
            return await content_of(storage, "large")

        assert with_storage(subject.storage(), look) == content

    # --- hostile keys -----------------------------------------------------------------------------

    def test_hostile_keys_are_listed_found_and_read(self, subject: StorageSubject) -> None:
        for hostile in subject.hostile:
            subject.put(hostile.key, hostile.content)

        assert keys_of(subject.storage()) == sorted(hostile.key for hostile in subject.hostile)

        async def look(storage: Storage) -> list[str]:
            wrong = []
            for hostile in subject.hostile:
                found = await storage.head(hostile.key)
                content = await content_of(storage, hostile.key)
                if (found.key, found.size, content) != (hostile.key, len(hostile.content), hostile.content):
                    wrong.append(hostile.name)
            return wrong

        assert with_storage(subject.storage(), look) == []

    # --- the container ----------------------------------------------------------------------------

    def test_a_missing_container_is_never_taken_for_a_missing_object(self, subject: StorageSubject) -> None:
        for use in (
            batches_of,
            lambda storage: storage.head("object"),
            lambda storage: content_of(storage, "object"),
            lambda storage: storage.health(),
        ):
            with pytest.raises(ContainerNotFound) as caught:
                with_storage(subject.without_container(), use)
            assert caught.value.remedy

    def test_health_of_a_container_that_is_there_says_nothing(self, subject: StorageSubject) -> None:
        assert with_storage(subject.storage(), lambda storage: storage.health()) is None

    def test_it_can_be_closed_twice(self, subject: StorageSubject) -> None:
        async def twice(storage: Storage) -> None:
            await storage.health()
            await storage.close()
            await storage.close()

        with_storage(subject.storage(), twice)

    def test_the_identity_tells_the_type_and_the_part(self, subject: StorageSubject) -> None:
        whole, part = subject.storage().identity, subject.storage("team/").identity

        assert whole["type"] == part["type"]
        assert whole != part
        assert whole == subject.storage().identity
