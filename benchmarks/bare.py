"""The least that brings objects to the HTTP file manager: three requests each, and nothing else.

`python -m benchmarks.alone bare FILE`, a JSON file with addresses and keys.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from cloudsync_pipeline.demo.seaweedfs import REGION
from cloudsync_pipeline.transport.sigv4 import AwsCredentials, Signer

IN_FLIGHT = 16


async def bring(told: dict[str, Any]) -> None:
    """Read, post, ask for permissions: many at once."""
    signer = Signer(AwsCredentials(told["access_key"], told["secret_key"]), region=REGION)
    keys = iter(told["keys"])
    async with aiohttp.ClientSession() as session:

        async def work() -> None:
            for key in keys:
                url = f"{told['storage']}/{key}"
                headers = await signer.sign("GET", url, {})
                async with session.get(URL(url, encoded=True), headers=headers) as answer:
                    answer.raise_for_status()
                    body = await answer.read()
                form = aiohttp.FormData({"operation": "create", "file_path": key, "size": str(len(body))})
                form.add_field("file", body, filename="content")
                await post("/saveToDisk", form)
                await post("/updatePermissions", aiohttp.FormData({"file_path": key}))

        async def post(call: str, form: aiohttp.FormData) -> None:
            async with session.post(told["file_manager"] + call, data=form) as answer:
                answer.raise_for_status()
                await answer.read()

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())


def main() -> None:
    """See the module's docstring."""
    asyncio.run(bring(json.loads(Path(sys.argv[1]).read_text())))
