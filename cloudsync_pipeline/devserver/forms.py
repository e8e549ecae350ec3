"""Forms, read while they arrive: fields into memory (small), the file part to disk (any size)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from anyio import to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from cloudsync_pipeline.devserver.answers import Refusal
from cloudsync_pipeline.devserver.blobs import BlobWriter

MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 32
MAX_HEADER_BYTES = 16 * 1024
FILE_FIELD = "file"


@dataclass(slots=True)
class Form:
    """A form that arrived whole.

    Attributes:
        fields: text fields by name.
        file: the content of the part named `file`, not finished yet; whoever takes it finishes or discards it.
        file_type: the content type that part declares.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file: BlobWriter | None = None
    file_type: str | None = None

    def get(self, name: str) -> str | None:
        """A field, where empty counts as absent."""
        return self.fields.get(name) or None


async def read_form(request: Request, writer: Callable[[], BlobWriter]) -> Form:
    """Read a multipart or URL-encoded form.

    Args:
        writer: makes the place where the file part goes.

    Raises:
        Refusal: 400 `invalid_form`, 413 `field_too_large`, 415 `not_a_form`.
        starlette.requests.ClientDisconnect: the client went away; nothing is left on disk.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"application/x-www-form-urlencoded":
        return await _read_urlencoded(request)
    if kind != b"multipart/form-data":
        raise Refusal(415, "not_a_form", "send a form, as multipart/form-data")
    if not options.get(b"boundary"):
        raise Refusal(400, "invalid_form", "the Content-Type names no boundary")
    reader = _MultipartReader(options[b"boundary"], writer)
    try:
        async for chunk in request.stream():
            reader.write(chunk)
            if reader.form.file is not None and reader.form.file.full:
                await to_thread.run_sync(reader.form.file.flush)
        reader.close()
    except BaseException:
        # Also when the client goes away or the server stops: a broken-off upload leaves nothing.
        reader.discard()
        raise
    return reader.form


async def _read_urlencoded(request: Request) -> Form:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FIELD_BYTES:
            raise Refusal(413, "field_too_large", f"the form is larger than {MAX_FIELD_BYTES} bytes")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Refusal(400, "invalid_form", f"the form cannot be read: {error}") from error
    form = Form()
    for name, value in pairs:
        _add_field(form, name, value)
    return form


def _add_field(form: Form, name: str, value: str) -> None:
    if name in form.fields:
        raise Refusal(400, "invalid_form", f"the field {name!r} comes twice")
    form.fields[name] = value


class _MultipartReader:
    def __init__(self, boundary: bytes, writer: Callable[[], BlobWriter]) -> None:
        self.form = Form()
        self._writer = writer
        self._ended = False
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._field: str | None = None
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise Refusal(400, "invalid_form", str(error)) from error

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Refusal(400, "invalid_form", f"the multipart form is broken: {error}") from error

    def close(self) -> None:
        if not self._ended:
            raise Refusal(400, "invalid_form", "the form ends before its closing boundary")

    def discard(self) -> None:
        if self.form.file is not None:
            self.form.file.discard()

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise Refusal(400, "invalid_form", f"the form has more than {MAX_FIELDS} parts")
        self._headers = {}
        self._header_name = b""
        self._header_value = b""
        self._value = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = b""
        self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if not name:
            raise Refusal(400, "invalid_form", "a part of the form has no name")
        self._field = name.decode("utf-8", "replace")
        if self._field == FILE_FIELD:
            if self.form.file is not None:
                raise Refusal(400, "invalid_form", "the form holds more than one file")
            self.form.file = self._writer()
            self.form.file_type = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == FILE_FIELD:
            if self.form.file is not None:
                self.form.file.add(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise Refusal(413, "field_too_large", f"the field {self._field!r} is larger than {MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if self._field is None or self._field == FILE_FIELD:
            return
        try:
            value = self._value.decode("utf-8")
        except UnicodeDecodeError as error:
            code = "path_rejected" if self._field in {"file_path", "new_path"} else "invalid_form"
            raise Refusal(400, code, f"the field {self._field!r} is not UTF-8") from error
        _add_field(self.form, self._field, value)

    def _on_end(self) -> None:
        self._ended = True
