"""Forms of exact length that can be broken off, read back by another implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import parse_form

from cloudsync_pipeline.core.errors import ContentMismatch
from cloudsync_pipeline.core.records import Piece
from cloudsync_pipeline.file_managers.multipart import FileForm, Form

TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)


def read_back(form: Form, body: bytes) -> tuple[dict[str, str], bytes | None]:
    """Fields and file, as python-multipart understands them."""
    fields: dict[str, str] = {}
    files: list[bytes] = []

    def on_field(field: object) -> None:
        name, value = field.field_name, field.value  # type: ignore[attr-defined]
        fields[name.decode()] = (value or b"").decode()

    def on_file(file: object) -> None:
        file.file_object.seek(0)  # type: ignore[attr-defined]
        files.append(file.file_object.read())  # type: ignore[attr-defined]

    stream = _Stream(body)
    headers = {"Content-Type": form.content_type.encode(), "Content-Length": str(len(body)).encode()}
    parse_form(headers, stream, on_field, on_file)
    return fields, files[0] if files else None


class _Stream:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        taken, self._body = self._body[:size], self._body[size:]
        return taken


async def in_order(chunks: list[bytes]) -> AsyncIterator[Piece]:
    for chunk in chunks:
        yield chunk


async def collect(into: list[bytes], pieces: AsyncIterator[Piece]) -> None:
    async for piece in pieces:
        into.append(bytes(piece))  # noqa: PERF401 - what came before an error counts


def streamed(form: FileForm, chunks: list[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    asyncio.run(collect(pieces, form.streamed(in_order(chunks))))
    return pieces


@given(st.dictionaries(st.sampled_from(["operation", "file_path", "new_path"]), TEXTS, min_size=1))
def test_fields_come_back_as_they_were(fields: dict[str, str]) -> None:
    form = Form(fields)
    assert read_back(form, form.encoded()) == (fields, None)


@given(TEXTS, st.lists(st.binary(max_size=100), max_size=6))
def test_a_file_comes_back_as_it_was_in_the_length_announced(path: str, chunks: list[bytes]) -> None:
    content = b"".join(chunks)
    form = FileForm({"file_path": path}, len(content), "text/plain")

    body = b"".join(streamed(form, chunks))

    assert len(body) == form.content_length
    assert form.complete
    assert read_back(form, body) == ({"file_path": path}, content)


@pytest.mark.parametrize("chunks", [[b"cont"], [b"content", b"more"], [], [b"", b"conten", b""]])
def test_content_of_another_length_never_ends_the_form(chunks: list[bytes]) -> None:
    form = FileForm({}, 7, None)
    pieces: list[bytes] = []

    with pytest.raises(ContentMismatch):
        asyncio.run(collect(pieces, form.streamed(in_order(chunks))))

    assert not form.complete
    boundary = form.content_type.partition("boundary=")[2].encode()
    assert b"--" + boundary + b"--" not in b"".join(pieces)


def test_the_last_chunk_waits_for_the_end() -> None:
    form = FileForm({}, 9, None)
    given_out: list[bytes] = []

    async def content() -> AsyncIterator[Piece]:
        yield b"one"
        yield b"two"
        yield b"six"
        assert b"two" in b"".join(given_out)
        assert b"six" not in b"".join(given_out)

    asyncio.run(collect(given_out, form.streamed(content())))
    assert b"".join(given_out).count(b"six") == 1


def test_a_small_file_is_one_piece() -> None:
    assert len(streamed(FileForm({"a": "b"}, 5, None), [b"small"])) == 1


def test_boundaries_differ() -> None:
    assert Form({}).content_type != Form({}).content_type
