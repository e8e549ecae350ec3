"""Asks for objects, signed, many at once, and throws away what comes: `python -m benchmarks.alone receive CLIENT FILE`.

CLIENT is `ours` or `aiohttp`; the file is JSON, with addresses and keys.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from cloudsync_pipeline.demo.seaweedfs import REGION
from cloudsync_pipeline.transport.sigv4 import AwsCredentials, Signer

IN_FLIGHT = 8
_PIECE = 2**20

Receive = Callable[[str, dict[str, str]], Awaitable[int]]
"""(URL, headers) to the bytes that came."""


def wanted(told: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(URL, Range header or nothing, bytes), the objects in turn."""
    size, part = told["size"], told["part"]
    for start in range(0, size, part):
        length = min(part, size - start)
        for key in told["keys"]:
            given = "" if length == size else f"bytes={start}-{start + length - 1}"
            yield f"{told['storage']}/{key}", given, length


async def receive_all(told: dict[str, Any], receive: Receive) -> None:
    """Everything, by so many at once."""
    signer = Signer(AwsCredentials(told["access_key"], told["secret_key"]), region=REGION)
    requests = wanted(told)

    async def work() -> None:
        for url, given, length in requests:
            headers = await signer.sign("GET", url, {})
            came = await receive(url, headers | {"Range": given} if given else headers)
            if came != length:
                raise SystemExit(f"{came} bytes came of {length}")

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


async def by_aiohttp(told: dict[str, Any]) -> None:
    """As `transport.http` would."""
    import aiohttp
    from yarl import URL

    async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=256 * 1024) as session:

        async def receive(url: str, headers: dict[str, str]) -> int:
            async with session.get(URL(url, encoded=True), headers=headers) as answer:
                answer.raise_for_status()
                if told["part"] == told["size"]:
                    return len(await answer.read())
                return sum([len(piece) async for piece in answer.content.iter_chunked(_PIECE)])

        await receive_all(told, receive)


async def by_ours(told: dict[str, Any]) -> None:
    """As `storage.s3` does."""
    from cloudsync_pipeline.transport.fetching import Fetcher
    from cloudsync_pipeline.transport.settings import HttpSettings

    async with Fetcher(HttpSettings(trust_env=False), who="the storage") as fetcher:

        async def receive(url: str, headers: dict[str, str]) -> int:
            async with fetcher.fetch("GET", url, headers) as answer:
                if answer.status not in (200, 206):
                    raise SystemExit(f"HTTP {answer.status}")
                if told["part"] == told["size"]:
                    return len(await answer.content(told["size"]))
                came = 0
                while piece := await answer.read_into(memoryview(bytearray(_PIECE))):
                    came += piece
                return came

        await receive_all(told, receive)


def main() -> None:
    """See the module's docstring."""
    client, place = sys.argv[1:]
    work = {"ours": by_ours, "aiohttp": by_aiohttp}[client]
    asyncio.run(work(json.loads(Path(place).read_text())))
