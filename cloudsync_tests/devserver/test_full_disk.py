"""A full disk is answered as such, and changes nothing."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from cloudsync_pipeline.devserver import Settings, create_app
from cloudsync_tests.devserver.client import END, FORM, field, file_part


async def create(app: FastAPI, path: str, content: bytes) -> tuple[int, Any]:
    """Ask the application directly: a full disk can only be pretended inside its own process."""
    body = field("operation", "create") + field("file_path", path) + file_part(content) + END
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/saveToDisk",
        "query_string": b"",
        "headers": [(b"content-type", FORM.encode())],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_full_disk_is_answered_with_507_and_the_old_content_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario() -> None:
        app = create_app(Settings(root=tmp_path))
        async with app.router.lifespan_context(app):
            assert (await create(app, "a", b"old"))[0] == 200
            monkeypatch.setattr(os, "fdatasync", full)

            status, answer = await create(app, "a", b"new")

            assert (status, answer["error"]["code"]) == (507, "storage_full")
            entry, file = app.state.files.open("a")
            with file:
                assert (entry.size, file.read()) == (3, b"old")

    asyncio.run(scenario())
    assert not list((tmp_path / "tmp").iterdir())
    assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1
