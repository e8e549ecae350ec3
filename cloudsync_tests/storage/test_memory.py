"""What the storage in memory does beyond the contract: a customer's changes, and faults."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from cloudsync_pipeline.core.errors import (
    BadAnswer,
    CapabilityMissing,
    IncompleteListing,
    NotFound,
    PreconditionFailed,
    Throttled,
    Unreachable,
)
from cloudsync_pipeline.core.faults import Corrupt, LoseAnswer, Truncate
from cloudsync_pipeline.storage.base import StorageCapabilities
from cloudsync_pipeline.storage.memory import MemoryBucket, MemoryStorage
from cloudsync_tests.contracts.subject import batches_of, content_of, keys_of


def a_storage(**contents: bytes) -> MemoryStorage:
    storage = MemoryStorage(page_size=2, chunk_size=4)
    for key, content in contents.items():
        storage.put(key, content)
    return storage


def read(storage: MemoryStorage, key: str = "a") -> bytes:
    return asyncio.run(content_of(storage, key))


def test_a_rename_moves_the_content_and_its_label() -> None:
    storage = a_storage(a=b"content")
    label = asyncio.run(storage.head("a")).etag

    renamed = storage.rename("a", "b")

    assert (renamed.key, renamed.etag) == ("b", label)
    assert keys_of(storage) == ["b"]


def test_a_copy_leaves_the_original() -> None:
    storage = a_storage(a=b"content")
    storage.copy("a", "b")

    assert keys_of(storage) == ["a", "b"]
    assert read(storage, "b") == b"content"


def test_what_is_not_there_can_be_neither_renamed_nor_deleted() -> None:
    storage = a_storage()
    for change in (lambda: storage.rename("a", "b"), lambda: storage.copy("a", "b"), lambda: storage.delete("a")):
        with pytest.raises(NotFound):
            change()


def test_a_label_may_be_given_as_after_a_multipart_upload() -> None:
    found = a_storage().put("a", b"content", etag="0123-2")

    assert (found.etag, found.fingerprint) == ("0123-2", None)


def test_the_clock_is_the_callers() -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    storage = MemoryStorage(now=lambda: noon)
    storage.put("a", b"")

    found = asyncio.run(storage.head("a"))

    assert (found.last_modified, found.observed_at) == (noon, noon)


def test_two_storages_may_look_at_one_bucket() -> None:
    bucket = MemoryBucket()
    MemoryStorage(bucket, prefix="team").put("a", b"content")

    assert keys_of(MemoryStorage(bucket)) == ["team/a"]


def test_a_listing_shows_what_changes_between_its_pages() -> None:
    storage = a_storage(a=b"", b=b"", c=b"", d=b"")

    async def main() -> list[str]:
        keys: list[str] = []
        async for batch in storage.list():
            keys += [row["key"] for row in batch.to_pylist()]
            if len(keys) == 2:
                storage.delete("c")
                storage.put("e", b"")
        return keys

    assert asyncio.run(main()) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(
    ("capabilities", "asked"),
    [
        (StorageCapabilities(ranges=False), {"start": 1}),
        (StorageCapabilities(ranges=False), {"length": 1}),
        (StorageCapabilities(conditional_read=False), {"if_match": "x"}),
    ],
)
def test_what_is_not_declared_is_refused(capabilities: StorageCapabilities, asked: dict[str, object]) -> None:
    storage = MemoryStorage(capabilities=capabilities)
    storage.put("a", b"content")

    with pytest.raises(CapabilityMissing):
        asyncio.run(content_of(storage, "a", **asked))


class TestFaults:
    def test_a_listing_breaks_off_at_the_page_asked_for(self) -> None:
        storage = a_storage(a=b"", b=b"", c=b"")
        storage.faults.add("list", IncompleteListing("broke off"), after=1)

        seen: list[int] = []

        async def main() -> None:
            async for batch in storage.list():
                seen.append(batch.num_rows)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(IncompleteListing):
            asyncio.run(main())
        assert seen == [2]
        assert len(asyncio.run(batches_of(storage))) == 2

    def test_one_key_fails_and_the_others_do_not(self) -> None:
        storage = a_storage(a=b"content", b=b"content")
        storage.faults.add("head", Throttled("slow down", retry_after=2.0), key="a")
        storage.faults.add("read", Unreachable("down"), key="a")

        with pytest.raises(Throttled):
            asyncio.run(storage.head("a"))
        with pytest.raises(Unreachable):
            read(storage)
        assert read(storage, "b") == b"content"
        assert read(storage) == b"content"

    def test_a_body_is_cut_off(self) -> None:
        storage = a_storage(a=b"content")
        storage.faults.add("read", Truncate(5))

        got: list[bytes] = []

        async def main() -> None:
            async with storage.read("a") as body:
                async for piece in body.chunks():
                    got.append(piece)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(BadAnswer, match="ended before"):
            asyncio.run(main())
        assert b"".join(got) == b"conte"

    def test_a_body_is_corrupted_without_a_word(self) -> None:
        storage = a_storage(a=b"content")
        storage.faults.add("read", Corrupt(0))

        assert read(storage) == b"bontent"

    def test_a_body_breaks_off_with_an_error(self) -> None:
        storage = a_storage(a=b"content")
        storage.faults.add("chunk", Unreachable("reset"), key="a", after=1)

        with pytest.raises(Unreachable):
            read(storage)

    def test_an_object_changes_while_it_is_read_in_parts(self) -> None:
        storage = a_storage(a=b"content")
        storage.faults.add("chunk", lambda: storage.put("a", b"changed"))

        async def main() -> bytes:
            label = (await storage.head("a")).etag
            first = await content_of(storage, "a", if_match=label, length=4)
            with pytest.raises(PreconditionFailed):
                await content_of(storage, "a", if_match=label, start=4)
            return first

        assert asyncio.run(main()) == b"cont"

    def test_a_lost_answer_is_an_error_as_nothing_changes_here(self) -> None:
        storage = a_storage(a=b"content")
        storage.faults.add("head", LoseAnswer(Unreachable("lost")))

        with pytest.raises(Unreachable, match="lost"):
            asyncio.run(storage.head("a"))

    def test_health_fails_on_demand(self) -> None:
        storage = a_storage()
        storage.faults.add("health", Unreachable("down"))

        with pytest.raises(Unreachable):
            asyncio.run(storage.health())
