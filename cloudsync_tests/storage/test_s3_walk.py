"""However the pages of a listing are asked for, each key comes once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import IncompleteListing, Throttled
from cloudsync_pipeline.storage.s3.listing import Page
from cloudsync_pipeline.storage.s3.walk import TokenCheck, walk

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_page(keys: list[str], prefixes: list[str], next_token: str | None) -> Page:
    count = len(keys)
    return Page(keys, [1] * count, ["e"] * count, [None] * count, [None] * count, prefixes, next_token, NOON)


class Bucket:
    """Answers like S3, in pages of `page_size`; counts what it was asked."""

    def __init__(self, keys: list[str], *, page_size: int, order: Callable[[str], object] = str.encode) -> None:
        self.keys = sorted(set(keys), key=order)  # type: ignore[arg-type]
        self.page_size = page_size
        self.requests = 0
        self.at_once = 0
        self.most_at_once = 0
        self.asked: list[tuple[str, bool]] = []

    async def fetch(self, prefix: str, folders: bool, token: str | None) -> Page:
        self.requests += 1
        self.asked.append((prefix, folders))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        items = self._items(prefix, folders=folders)
        start = int(token or 0)
        page, end = items[start : start + self.page_size], start + self.page_size
        keys = [name for name, is_folder in page if not is_folder]
        prefixes = [name for name, is_folder in page if is_folder]
        return a_page(keys, prefixes, str(end) if end < len(items) else None)

    def _items(self, prefix: str, *, folders: bool) -> list[tuple[str, bool]]:
        items: dict[tuple[str, bool], None] = {}
        for key in self.keys:
            if key.startswith(prefix):
                name, slash, _ = key[len(prefix) :].partition("/")
                items[(prefix + name + slash, True) if folders and slash else (key, False)] = None
        return list(items)


def keys_of(bucket: Bucket, prefix: str = "", parallelism: int = 4) -> list[str]:
    async def main() -> list[str]:
        return [key async for page in walk(bucket.fetch, prefix, parallelism=parallelism) for key in page.keys]

    return asyncio.run(main())


SEGMENTS = st.sampled_from(["", "a", "b", "-", "+", "ab", "."])
KEYS = st.lists(st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join).filter(bool), max_size=60)


@settings(max_examples=300, deadline=None)
@given(
    keys=KEYS, page_size=st.integers(1, 8), parallelism=st.integers(1, 5), prefix=st.sampled_from(["", "a", "a/", "/"])
)
def test_each_key_comes_once_whatever_the_layout(
    keys: list[str], page_size: int, parallelism: int, prefix: str
) -> None:
    bucket = Bucket(keys, page_size=page_size)

    found = keys_of(bucket, prefix, parallelism)

    assert sorted(found) == sorted({key for key in keys if key.startswith(prefix)})
    assert bucket.most_at_once <= parallelism


@settings(max_examples=100, deadline=None)
@given(keys=KEYS, page_size=st.integers(1, 8))
def test_the_vendors_order_does_not_matter(keys: list[str], page_size: int) -> None:
    bucket = Bucket(keys, page_size=page_size, order=lambda key: key[::-1])

    assert sorted(keys_of(bucket)) == sorted(set(keys))


def test_a_bucket_of_one_page_costs_one_request() -> None:
    bucket = Bucket([f"{n % 3}/{n}" for n in range(10)], page_size=10)

    keys_of(bucket)

    assert bucket.requests == 1


def test_large_folders_are_listed_at_once() -> None:
    bucket = Bucket([f"{n % 4}/{n:03}" for n in range(400)], page_size=20)

    assert len(keys_of(bucket)) == 400
    assert bucket.most_at_once == 4
    assert bucket.requests <= 400 / 20 + 2


def test_a_folder_that_holds_everything_is_looked_into() -> None:
    bucket = Bucket([f"data/2026/{n % 4}/{n:03}" for n in range(400)], page_size=20)

    assert len(keys_of(bucket)) == 400
    assert bucket.most_at_once == 4


def test_a_flat_bucket_is_listed_in_sequence_without_detours() -> None:
    bucket = Bucket([f"{n:03}" for n in range(400)], page_size=20)

    assert len(keys_of(bucket)) == 400
    assert bucket.requests == 20


def test_many_small_folders_are_listed_in_sequence_without_detours() -> None:
    bucket = Bucket([f"{n:03}/a" for n in range(400)], page_size=20)

    assert len(keys_of(bucket)) == 400
    assert bucket.requests == 20


def test_more_folders_than_fit_a_page_are_listed_in_sequence() -> None:
    keys = [f"big/{n:03}" for n in range(100)] + [f"small{n:03}/a" for n in range(100)]
    bucket = Bucket(keys, page_size=20)

    assert sorted(keys_of(bucket)) == sorted(keys)
    assert {prefix for prefix, _ in bucket.asked} == {""}


def test_a_layout_that_contradicts_the_page_is_not_relied_on() -> None:
    """SeaweedFS answers such things for keys like `a//b`."""
    bucket = Bucket([f"{n % 2}/{n:03}" for n in range(100)], page_size=20)
    honest = bucket.fetch

    async def lying(prefix: str, folders: bool, token: str | None) -> Page:
        page = await honest(prefix, folders, token)
        return a_page(page.keys, ["1/"], None) if folders else page

    bucket.fetch = lying  # type: ignore[method-assign]

    assert len(keys_of(bucket)) == 100


def test_a_deep_chain_of_folders_is_followed_only_so_far() -> None:
    deep = "/".join("d" * 40)
    bucket = Bucket([f"{deep}/{n:03}" for n in range(100)], page_size=20)

    assert len(keys_of(bucket)) == 100
    assert max(prefix.count("/") for prefix, _ in bucket.asked) == 8


def test_pages_wait_when_nobody_takes_them() -> None:
    bucket = Bucket([f"{n % 4}/{n:04}" for n in range(4000)], page_size=20)

    async def main() -> None:
        pages = walk(bucket.fetch, "", parallelism=4)
        await anext(pages)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert bucket.requests <= 2 + 3 * 4
        await pages.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("parallelism", [1, 4])
def test_an_error_comes_out_as_it_is_and_ends_everything(parallelism: int) -> None:
    bucket = Bucket([f"{n % 4}/{n:03}" for n in range(400)], page_size=20)
    honest = bucket.fetch

    async def failing(prefix: str, folders: bool, token: str | None) -> Page:
        if bucket.requests == 12:
            raise Throttled("slow down")
        return await honest(prefix, folders, token)

    bucket.fetch = failing  # type: ignore[method-assign]

    async def take_all() -> None:
        async for _ in walk(bucket.fetch, "", parallelism=parallelism):
            pass

    async def main() -> None:
        with pytest.raises(Throttled, match="slow down"):
            await take_all()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_token_that_comes_again_ends_the_listing(parallelism: int) -> None:
    async def circling(prefix: str, folders: bool, token: str | None) -> Page:
        following = {None: "a", "a": "b", "b": "c", "c": "a"}[token]
        return a_page([f"x{following}"], [], following)

    async def main() -> None:
        async for _ in walk(circling, "", parallelism=parallelism):
            pass

    with pytest.raises(IncompleteListing, match="continuation token"):
        asyncio.run(main())


@given(tail=st.integers(0, 40), circle=st.integers(1, 40))
def test_every_circle_of_tokens_is_found(tail: int, circle: int) -> None:
    check = TokenCheck()

    def go_round() -> None:
        for step in range(400):
            check.passed(str(step if step < tail else tail + (step - tail) % circle))

    with pytest.raises(IncompleteListing):
        go_round()


def test_tokens_that_differ_are_let_through() -> None:
    check = TokenCheck()
    for step in range(1000):
        check.passed(str(step))
