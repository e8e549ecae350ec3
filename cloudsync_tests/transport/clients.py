"""Both of our HTTP clients, for what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from yarl import URL

from cloudsync_pipeline.transport.fetching import Fetcher
from cloudsync_pipeline.transport.http import HttpClient
from cloudsync_pipeline.transport.settings import HttpSettings

Ask = Callable[[HttpSettings, str, str | None], Coroutine[Any, Any, bytes]]
"""(settings, URL, key) to the body of the answer to a GET."""


async def by_aiohttp(settings: HttpSettings, url: str, key: str | None = None) -> bytes:
    async with (
        HttpClient(settings, who="the server") as client,
        client.request("GET", URL(url), key=key) as response,
    ):
        return await response.read()


async def by_fetcher(settings: HttpSettings, url: str, key: str | None = None) -> bytes:
    async with Fetcher(settings, who="the server") as fetcher, fetcher.fetch("GET", url, key=key) as answer:
        return await answer.content(2**20)
