"""Parts of a large object come in order, a few at once, and never more than there is room for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, PreconditionFailed
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.storage.s3.ranges import PARTS_AHEAD, PartedBody, Room

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PART = 1000


class Large:
    """An object, and how it was read. Later parts come before earlier ones."""

    def __init__(self, size: int, room: int = 8) -> None:
        self.content = random.Random(size).randbytes(size)
        self.room = Room(room)
        self.at_once = 0
        self.most_at_once = 0
        self.asked: list[int] = []
        self.short_at: int | None = None
        self.changed_at: int | None = None
        self.first_read_after: int | None = None

    def body(self) -> PartedBody:
        found = StorageObject("k", len(self.content), "e", None, NOON)
        return PartedBody(found, self.first(), self.fetch, self.room, self.first_is_read, part=PART)

    def first_is_read(self) -> None:
        assert self.first_read_after is None
        self.first_read_after = len(self.asked)

    async def first(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 300):
            await asyncio.sleep(0)
            yield self.content[start : start + 300]

    async def fetch(self, start: int, length: int) -> list[bytes]:
        self.asked.append(start)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.01 / len(self.asked))
        finally:
            self.at_once -= 1
        if start == self.changed_at:
            raise PreconditionFailed("another version")
        end = start + length - (1 if start == self.short_at else 0)
        return [self.content[start : start + 50], self.content[start + 50 : end]]

    def read(self) -> bytes:
        async def whole() -> bytes:
            return b"".join([piece async for piece in self.body().chunks()])

        return asyncio.run(whole())


@pytest.mark.parametrize("size", [PART + 1, 2 * PART, 7 * PART + 123])
@pytest.mark.parametrize("room", [0, 1, 8])
def test_the_bytes_are_those_of_the_object_whatever_room_there_is(size: int, room: int) -> None:
    large = Large(size, room)

    assert large.read() == large.content
    assert large.asked == list(range(PART, size, PART))
    assert large.most_at_once <= max(1, min(room, PARTS_AHEAD))
    assert large.room.free == room
    # Its connection is free before the first of the other parts is waited for.
    assert large.first_read_after is not None
    assert large.first_read_after <= min(room, PARTS_AHEAD)


def test_several_parts_are_on_their_way_at_once() -> None:
    large = Large(8 * PART)
    large.read()

    assert large.most_at_once == PARTS_AHEAD


def test_a_part_of_another_version_ends_the_read() -> None:
    large = Large(6 * PART)
    large.changed_at = 3 * PART

    with pytest.raises(PreconditionFailed):
        large.read()
    assert large.room.free == 8


def test_a_part_that_is_short_ends_the_read() -> None:
    large = Large(6 * PART)
    large.short_at = 2 * PART

    with pytest.raises(BadAnswer, match="ended after"):
        large.read()


def test_a_read_that_is_given_up_leaves_nothing_behind() -> None:
    large = Large(8 * PART)

    async def main() -> None:
        chunks = large.body().chunks()
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]  # what `async for` gives is a generator
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert large.room.free == 8
