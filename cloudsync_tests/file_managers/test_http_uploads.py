"""How content travels: in one form of exact length, broken off where it fails, and stopped by an early answer."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator
from socket import SO_LINGER, SOL_SOCKET

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ContentMismatch,
    NotFound,
    StorageFull,
    Unreachable,
)
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager, HttpApiSettings
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.contracts.file_manager import a_failing_upload, an_upload, some_bytes
from cloudsync_tests.file_managers.http_servers import DIRECT, against, fields, raw_server, saying
from cloudsync_tests.scripted import Asked

HOSTILE_PATH = 'quo"te\r\nContent-Type: x\r\n\r\n--form\\ü\u202e%22;filename="x"'


def sent(upload: Upload, path: str = "file") -> Asked:
    """The request that an upload makes."""
    _, asked = against(saying(), lambda manager: manager.put(path, upload))
    return asked[-1]


def test_the_form_has_the_fields_of_the_api_and_the_file_last() -> None:
    asked = sent(an_upload(b"content", content_type="text/plain", metadata={"ü": "\udcff"}))

    assert (asked.method, asked.target) == ("POST", "/saveToDisk")
    assert list(fields(asked)) == ["operation", "file_path", "size", "file_type", "metadata", "file"]
    form = fields(asked)
    assert (form["operation"], form["file_path"], form["size"]) == ("create", "tenant/file", "7")
    assert (form["file_type"], form["file"]) == ("text/plain", "content")
    assert json.loads(form["metadata"]) == {"ü": "\udcff"}
    assert b"Content-Type: text/plain\r\n\r\ncontent\r\n" in asked.body


def test_an_update_says_so() -> None:
    assert fields(sent(an_upload(b"content", replace=True)))["operation"] == "update"


@pytest.mark.parametrize("size", [0, 1, 1000, 300_000, 2_000_000])
def test_the_length_is_announced_exactly(size: int) -> None:
    asked = sent(an_upload(some_bytes(size)))

    assert int(asked.headers["content-length"]) == len(asked.body)
    assert "transfer-encoding" not in asked.headers
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    assert asked.body.endswith(some_bytes(size) + b"\r\n--" + boundary + b"--\r\n")


def test_a_hostile_path_stays_inside_its_field() -> None:
    asked = sent(an_upload(b"content"), HOSTILE_PATH)

    assert list(fields(asked)) == ["operation", "file_path", "size", "file"]
    assert fields(asked)["file_path"] == f"tenant/{HOSTILE_PATH}"


@pytest.mark.parametrize("content_type", ["text/plain\r\nX: y", "no media type", "", "ü/ü", "a/b; c"])
def test_a_hostile_content_type_stays_out_of_the_header(content_type: str) -> None:
    asked = sent(an_upload(b"content", content_type=content_type))

    assert b'filename="content"\r\nContent-Type: application/octet-stream\r\n\r\ncontent' in asked.body


def test_a_path_that_is_no_utf8_is_rejected_before_anything_is_sent() -> None:
    async def put(manager: HttpApiFileManager) -> str:
        with pytest.raises(CloudSyncError, match="UTF-8") as caught:
            await manager.put("caf\x1ae9", an_upload(b"x"))
        return type(caught.value).__name__

    name, asked = against(saying(), put)
    assert name == "PathRejected"
    assert [each.target for each in asked] == ["/"]


# --- breaking off -------------------------------------------------------------------------------


def received_of(upload: Upload, error: Exception) -> bytes:
    """What a server had received when an upload broke off with `error`."""

    async def within() -> bytes:
        received = bytearray()
        gone = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    received.extend(data)
            finally:
                gone.set()

        async with raw_server(serve) as url:
            manager = HttpApiFileManager(HttpApiSettings(url, http=DIRECT))
            with pytest.raises(type(error)) as caught:
                await manager.put("file", upload)
            assert caught.value is error
            if received:
                await gone.wait()
            await manager.close()
        return bytes(received)

    return asyncio.run(within())


def test_content_that_fails_never_ends_its_form() -> None:
    error = ContentMismatch("the hash differs")

    received = received_of(a_failing_upload(1_000_000, error, chunk=100_000), error)

    boundary = re.search(rb"boundary=(\S+)", received)
    assert boundary is not None
    assert b"n" * 800_000 in received
    assert b"n" * 900_001 not in received
    assert b"--" + boundary[1] + b"--" not in received


def test_small_content_that_fails_is_not_sent_at_all() -> None:
    error = ContentMismatch("the hash differs")

    assert received_of(a_failing_upload(100_000, error, chunk=10_000), error) == b""


def test_the_cause_of_the_contents_error_is_kept() -> None:
    error = BadAnswer("the storage broke off")
    error.__cause__ = ConnectionResetError("by peer")

    received_of(a_failing_upload(1_000_000, error, chunk=100_000), error)

    assert isinstance(error.__cause__, ConnectionResetError)


def test_an_update_of_a_missing_file_is_not_found() -> None:
    async def put(manager: HttpApiFileManager) -> None:
        await manager.put("file", an_upload(b"x", replace=True))

    with pytest.raises(NotFound):
        against(saying(404), put)


# --- early answers ------------------------------------------------------------------------------


def answered_early(status: int, after: int, *, reset: bool, close: bool = True, body: bytes = b"{}") -> CloudSyncError:
    """The error of an upload that is answered after `after` bytes, and the connection then closed or reset."""

    async def within() -> CloudSyncError:
        running = 0
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(after)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + (b"Connection: close\r\n" if close else b"") + b"\r\n" + body)
            await writer.drain()
            if reset:
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            if close:
                writer.close()
            else:
                await ended.wait()

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal running
            running += 1
            try:
                for _ in range(500):
                    yield b"n" * 65536
                    await asyncio.sleep(0)
            finally:
                running -= 1

        async with raw_server(serve) as url:
            manager = HttpApiFileManager(HttpApiSettings(url, http=DIRECT))
            content = chunks()
            with pytest.raises(CloudSyncError) as caught:
                await manager.put("file", Upload(500 * 65536, content))
            # Nobody uses the content any more: it can be closed at once.
            await content.aclose()  # type: ignore[attr-defined]
            assert running == 0
            ended.set()
            await manager.close()
        return caught.value

    return asyncio.run(within())


@pytest.mark.parametrize("after", [0, 100, 1_000_000, 10_000_000])
@pytest.mark.parametrize(("status", "kind"), [(401, AccessDenied), (507, StorageFull)])
@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_amid_the_upload_is_what_comes_out(
    status: int, kind: type[CloudSyncError], after: int, reset: bool
) -> None:
    assert type(answered_early(status, after, reset=reset)) is kind


def test_an_answer_that_is_overtaken_by_the_reset_comes_out_too() -> None:
    # A thread of its own, so that the reset meets a write at any point; unread bytes make the close one.
    listener = socket.create_server(("127.0.0.1", 0))
    uploads = 40

    def serve() -> None:
        for attempt in range(uploads):
            connection, _ = listener.accept()
            with connection:
                left = 300 + attempt * 50_000
                while left > 0:
                    left -= len(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 507 X\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfull")

    async def put_all() -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        manager = HttpApiFileManager(HttpApiSettings(url, http=DIRECT))
        for _ in range(uploads):
            with pytest.raises(StorageFull, match="full") as caught:
                await manager.put("file", an_upload(bytes(20_000_000)))
            assert caught.value.retry_after == 7
        await manager.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        asyncio.run(put_all())
    finally:
        listener.close()
        thread.join()


def test_an_answer_amid_the_upload_need_not_close_the_connection() -> None:
    assert type(answered_early(507, 1_000_000, reset=False, close=False)) is StorageFull


def test_a_success_amid_the_upload_is_none() -> None:
    body = b'{"internal_id": "1", "file_path": "file", "operation": "create"}'

    error = answered_early(200, 1_000_000, reset=False, body=body)

    assert type(error) is BadAnswer


def test_a_server_that_takes_nothing_more_is_unreachable() -> None:
    async def within() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ended.wait()

        async with raw_server(serve) as url:
            http = HttpSettings(trust_env=False, read_timeout=0.3)
            manager = HttpApiFileManager(HttpApiSettings(url, http=http))
            with pytest.raises(Unreachable, match=r"0\.3 seconds"):
                await manager.put("file", an_upload(b"n" * 30_000_000))
            ended.set()
            await manager.close()

    asyncio.run(within())


def test_a_slow_source_is_not_the_servers_fault() -> None:
    async def put(manager: HttpApiFileManager) -> None:
        async def slow() -> AsyncIterator[bytes]:
            yield b"n" * 400_000
            await asyncio.sleep(0.5)
            yield b"n" * 100_000

        await manager.put("file", Upload(500_000, slow()))

    against(saying(), put, http=HttpSettings(trust_env=False, read_timeout=0.3))
