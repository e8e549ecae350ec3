"""A file manager client against servers that answer what a test tells them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager, HttpApiSettings
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.scripted import Asked, Reply, Script, scripted

DIRECT = HttpSettings(trust_env=False, read_timeout=10)


def fields(asked: Asked) -> dict[str, str]:
    """The fields of a form that came in, by name; the file's content as Latin-1."""
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    form = {}
    for part in asked.body.split(b"--" + boundary)[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        named = re.search(rb'name="(\w+)"', head)
        assert named is not None
        name = named[1].decode()
        form[name] = value.removesuffix(b"\r\n").decode("latin-1" if name == "file" else "utf-8")
    return form


def honest(asked: Asked) -> dict[str, Any]:
    """What a file manager with no extras answers."""
    if asked.target == "/":
        return {"status": "ok"}
    if asked.target == "/reportResults":
        return {"status": "received", "message": "thanks", "timestamp": "2026-01-02T03:04:05"}
    form = fields(asked)
    if asked.target == "/updatePermissions":
        named = {name: form.get(name, "old") for name in ("permissions", "owner", "group")}
        return {"file_path": form["file_path"], **named, "last_updated": "2026-01-02T03:04:05"}
    return {
        "internal_id": "id-1",
        "file_path": form["file_path"],
        "operation": form["operation"],
        "size": int(form["size"]) if "size" in form else 7,
        "saved_at": "2026-01-02T03:04:05",
        "status": "success",
        "new_path": form.get("new_path"),
        "metadata": {},
    }


def saying(http: int = 200, /, **changes: Any) -> Script:
    """Honest answers with some fields changed and an HTTP status; a field that is `...` is left out."""

    def script(asked: Asked) -> Reply:
        answer = honest(asked)
        if asked.target != "/":
            answer = {name: value for name, value in (answer | changes).items() if value is not ...}
        return Reply(http if asked.target != "/" else 200, body=json.dumps(answer).encode())

    return script


def answering(reply: Reply) -> Script:
    """`reply` to every call but `GET /`."""
    return lambda asked: reply if asked.target != "/" else Reply(body=b"{}")


def against(
    script: Script, use: Callable[[HttpApiFileManager], Awaitable[Any]], **settings: Any
) -> tuple[Any, list[Asked]]:
    """What `use` gave with a client of a scripted server, and what the server was asked."""

    async def within() -> tuple[Any, list[Asked]]:
        async with scripted(script) as server:
            values: dict[str, Any] = {"destination_prefix": "tenant", "http": DIRECT}
            async with HttpApiFileManager(HttpApiSettings(server.url, **values | settings)) as manager:
                return await use(manager), server.asked

    return asyncio.run(within())


Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def raw_server(serve: Connection) -> AsyncIterator[str]:
    """A server that handles each connection as told; its URL."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: what many of these tests are about
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
