"""Forms as RFC 7578 has them, with an exact length, and a file part that can be broken off.

The file comes last. Its last chunk and the closing boundary leave together, and only after the content ended
as announced: whoever receives less has received no valid form, whatever it did with the bytes before.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from cloudsync_pipeline.core.errors import ContentMismatch
from cloudsync_pipeline.core.records import Piece

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?[A-Za-z0-9_-]+=[A-Za-z0-9_.+-]+)*")


class Form:
    """A form of text fields.

    Args:
        fields: name (plain ASCII of ours) to value (any text that has a UTF-8 form).
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        # 128 random bits: no content can hold the boundary but by foreseeing it.
        self._boundary = f"form-{secrets.token_hex(16)}".encode()
        self._head = b"".join(
            b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
            % (self._boundary, name.encode(), value.encode())
            for name, value in fields.items()
        )
        self._tail = b"--%b--\r\n" % self._boundary

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary.decode()}"

    def encoded(self) -> bytes:
        """The whole form."""
        return self._head + self._tail


class FileForm(Form):
    """A form whose last part is a file.

    Args:
        fields: as in `Form`.
        size: bytes of the file, exactly.
        media_type: of the file; anything that is no media type becomes `application/octet-stream`.

    Attributes:
        content_length: bytes of the whole form.
        complete: the closing boundary was given out.
    """

    def __init__(self, fields: Mapping[str, str], size: int, media_type: str | None) -> None:
        super().__init__(fields)
        if media_type is None or not _MEDIA_TYPE.fullmatch(media_type):
            media_type = "application/octet-stream"
        # The file's name is a constant: a path may hold quotes and line feeds, and goes as a field of its own.
        self._head += (
            b'--%b\r\nContent-Disposition: form-data; name="file"; filename="content"\r\nContent-Type: %b\r\n\r\n'
            % (self._boundary, media_type.encode())
        )
        self._tail = b"\r\n" + self._tail
        self._size = size
        self.content_length = len(self._head) + size + len(self._tail)
        self.complete = False

    def whole(self, content: bytes) -> bytes:
        """The form with a file that is in memory; raises ContentMismatch where it has not the announced size."""
        if len(content) != self._size:
            raise ContentMismatch(f"{len(content)} bytes came, and {self._size} were announced.")
        self.complete = True
        return b"".join((self._head, content, self._tail))

    async def streamed(self, chunks: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
        """The form in pieces, one chunk behind its content.

        Raises:
            ContentMismatch: the content is longer or shorter than announced; the rest was not given out.
        """
        waiting: Piece = self._head
        came = 0
        async for chunk in chunks:
            came += len(chunk)
            if came > self._size:
                raise ContentMismatch(f"More bytes came than the {self._size} that were announced.")
            if not chunk:
                continue
            if waiting is not self._head or came < self._size:
                yield waiting
                waiting = chunk
            else:
                # All of a small file: one piece, one packet.
                waiting = waiting + chunk
        if came != self._size:
            raise ContentMismatch(f"{came} bytes came, and {self._size} were announced.")
        self.complete = True
        yield waiting + self._tail
