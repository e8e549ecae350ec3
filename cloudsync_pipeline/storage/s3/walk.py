"""The order in which the pages of a listing are asked for: in sequence, or folder by folder at once.

A prefix whose first page is not its last is looked at with the delimiter `/`. Its objects and its common prefixes
part its keys exactly, whatever order the vendor lists in, so each common prefix is listed on its own. This is done only
where it pays: where the folders seen on the first page are large, and all of them fit one page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from cloudsync_pipeline.core.errors import IncompleteListing
from cloudsync_pipeline.storage.s3.listing import Page

Fetch = Callable[[str, bool, str | None], Awaitable[Page]]
"""(whole escaped prefix, with delimiter, continuation token) to a page; retries are its own."""

FOLDERS_A_PAGE = 4
"""Folders and objects directly below the prefix that its first page may show at most to be split. A folder costs at
least one request of its own: where many fit one page, a listing in sequence needs fewer requests."""

DEEPEST_SPLIT = 8
"""Levels below the root that are split at most: bounds the prefixes that wait, and what a chain of folders with nothing
else in them costs."""


@dataclass(frozen=True, slots=True)
class _Part:
    prefix: str
    depth: int
    first: Page | None = None


class TokenCheck:
    """Finds continuation tokens that come again, in constant memory (Brent's cycle detection)."""

    def __init__(self) -> None:
        self._kept: str | None = None
        self._steps = 0
        self._limit = 1

    def passed(self, token: str) -> None:
        """Raises IncompleteListing for a token that was there before: the listing would never end."""
        if token == self._kept:
            raise IncompleteListing(
                "the storage gave the same continuation token twice", remedy="Tell the vendor; nothing was concluded."
            )
        self._steps += 1
        if self._steps == self._limit:
            self._kept, self._steps, self._limit = token, 0, self._limit * 2


async def walk(fetch: Fetch, prefix: str, *, parallelism: int) -> AsyncGenerator[Page, None]:
    """Every page of a listing; each key below `prefix` stands on exactly one.

    At most `parallelism` requests are in flight, and at most twice as many pages in memory.

    Raises:
        IncompleteListing: a continuation token came again.
        CloudSyncError: what `fetch` raises, as it is.
    """
    first = await fetch(prefix, False, None)
    if first.next_token is None or parallelism == 1:
        async for page in _in_sequence(fetch, prefix, first):
            yield page
        return
    crew = _Crew(fetch, parallelism)
    # Closed here and not when it is collected: its workers must be gone when the caller goes on.
    async with aclosing(crew.run(_Part(prefix, 0, first))) as pages:
        async for page in pages:
            yield page


async def _in_sequence(fetch: Fetch, prefix: str, page: Page) -> AsyncGenerator[Page, None]:
    tokens = TokenCheck()
    yield page
    while page.next_token is not None:
        tokens.passed(page.next_token)
        page = await fetch(prefix, False, page.next_token)
        yield page


class _Crew:
    """Workers that list parts; a part may turn into several."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        # Last in, first out: the parts of a deep folder are done before the next folder is opened.
        self._parts: asyncio.LifoQueue[_Part] = asyncio.LifoQueue()
        self._pages: asyncio.Queue[Page] = asyncio.Queue(maxsize=size)

    async def run(self, part: _Part) -> AsyncGenerator[Page, None]:
        self._parts.put_nowait(part)
        work = asyncio.create_task(self._work())
        coming: asyncio.Task[Page] | None = None
        try:
            while True:
                coming = coming or asyncio.create_task(self._pages.get())
                await asyncio.wait({work, coming}, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    page, coming = coming.result(), None
                    yield page
                elif work.done():
                    _raise_first(work)
                    return
        finally:
            tasks = [task for task in (work, coming) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._worker()) for _ in range(self._size)]
            await self._parts.join()
            for worker in workers:
                worker.cancel()

    async def _worker(self) -> None:
        while True:
            part = await self._parts.get()
            await self._list(part)
            self._parts.task_done()

    async def _list(self, part: _Part) -> None:
        page = part.first or await self._fetch(part.prefix, False, None)
        if page.next_token is not None and part.depth < DEEPEST_SPLIT and _pays(page, part.prefix):
            layout = await self._fetch(part.prefix, True, None)
            if _parts_exactly(layout, page, part.prefix):
                if layout.keys:
                    await self._pages.put(layout)
                for prefix in reversed(layout.prefixes):
                    self._parts.put_nowait(_Part(prefix, part.depth + 1))
                return
        async for each in _in_sequence(self._fetch, part.prefix, page):
            await self._pages.put(each)


def _raise_first(work: asyncio.Task[None]) -> None:
    error = work.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


def _children(page: Page, prefix: str) -> set[str]:
    """What stands directly below the prefix: folders with their slash, objects without."""
    cut = len(prefix)
    names = set()
    for key in page.keys:
        name, slash, _ = key[cut:].partition("/")
        names.add(name + slash)
    return names


def _pays(page: Page, prefix: str) -> bool:
    return len(_children(page, prefix)) <= FOLDERS_A_PAGE


def _parts_exactly(layout: Page, page: Page, prefix: str) -> bool:
    """Whether the layout can be relied on: complete, and without the oddities that servers show for `a//b`."""
    if layout.next_token is not None or not layout.prefixes:
        return False
    folders = {folder[len(prefix) :] for folder in layout.prefixes}
    objects = {key[len(prefix) :] for key in layout.keys}
    return (
        len(folders) == len(layout.prefixes)
        and all(folder.find("/") == len(folder) - 1 for folder in folders)
        and not any("/" in name for name in objects)
        and _children(page, prefix) <= folders | objects
    )
