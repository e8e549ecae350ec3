"""What a server said before it closed the connection in the middle of an upload.

A server may answer (401, 507) without reading on, and close. The close then reaches us as a reset, and a write
that meets the reset makes asyncio drop the connection with the answer unread in the socket. A second descriptor
of that socket keeps the answer readable. Plain HTTP only: what is left of TLS cannot be decrypted here.
"""

from __future__ import annotations

import io
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import cast

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import AsyncIterablePayload

from cloudsync_pipeline.core.records import Piece

_MOST = 64 * 1024


@dataclass(frozen=True, slots=True)
class LastWords:
    """An answer; `headers` by the names that the server gave them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedUpload(AsyncIterablePayload):
    """Content for aiohttp to send, which remembers the socket that it went through."""

    def __init__(self, pieces: AsyncIterator[Piece]) -> None:
        super().__init__(cast("AsyncIterator[bytes]", pieces))
        self._socket: socket.socket | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the content; called by aiohttp."""
        transport = writer.transport if isinstance(writer, StreamWriter) else None
        if transport is not None and transport.get_extra_info("sslcontext") is None:
            used = transport.get_extra_info("socket")
            self._socket = None if used is None else used.dup()
        await super().write_with_length(writer, content_length)

    def last_words(self) -> LastWords | None:
        """The answer that lies unread in the socket, or as much of it as came; None where there is none."""
        unread = b"" if self._socket is None else _unread(self._socket)
        response = HTTPResponse(cast("socket.socket", _Buffer(unread)))
        try:
            response.begin()
        except (HTTPException, OSError, ValueError):
            return None
        try:
            body = response.read(_MOST)
        except (HTTPException, ValueError):
            body = b""  # the status alone says enough
        return LastWords(response.status, dict(response.headers.items()), body)

    def forget(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _unread(used: socket.socket) -> bytes:
    used.setblocking(False)
    found = b""
    try:
        while len(found) < _MOST and (data := used.recv(_MOST)):
            found += data
    except OSError:
        pass  # nothing more, or the reset itself: what came before it is what counts
    return found


class _Buffer:
    """As much of a socket as http.client reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
