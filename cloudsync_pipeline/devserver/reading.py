"""What the devserver offers beyond the file-manager API: listing and reading back."""

from __future__ import annotations

import re

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from cloudsync_pipeline.devserver.answers import Answer, Refusal, checked_path
from cloudsync_pipeline.devserver.blobs import pieces
from cloudsync_pipeline.devserver.files import Files

MAX_PAGE = 1000
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def add_routes(app: FastAPI) -> None:
    """The calls of this module."""
    app.add_api_route("/files", _list, methods=["GET"])
    app.add_api_route("/files/content", _content, methods=["GET", "HEAD"])


def bounded(request: Request, name: str, default: int, highest: int) -> int:
    """A whole number from 1 to `highest` in the query. Raises Refusal (400)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= highest):
        raise Refusal(400, "invalid_field", f"{name} is no number from 1 to {highest}")
    return int(text)


async def _list(request: Request) -> Response:
    """Files in byte order of their paths, a page at a time; `next` goes into `after` of the next call."""
    files: Files = request.app.state.files
    limit = bounded(request, "limit", MAX_PAGE, MAX_PAGE)
    prefix = request.query_params.get("prefix", "")
    entries = files.index.page(prefix, request.query_params.get("after"), limit + 1)
    more = len(entries) > limit
    page = [entry.described("get", "found") for entry in entries[:limit]]
    return Answer({"files": page, "next": entries[limit - 1].path if more else None})


async def _content(request: Request) -> Response:
    """A file's bytes. Honours `Range` (one range) and `If-Match`; the ETag is the MD5 of the content."""
    files: Files = request.app.state.files
    entry, file = files.open(checked_path(request.query_params.get("file_path", "")))
    try:
        etag = f'"{entry.md5}"'
        if request.headers.get("if-match", etag) not in {etag, "*"}:
            raise Refusal(412, "precondition_failed", "the file has another content now", file_path=entry.path)
        start, end = _range(request.headers.get("range"), entry.size)
    except Refusal:
        file.close()
        raise
    whole = end - start == entry.size
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(end - start),
        "content-type": "application/octet-stream",
        # Content comes from customers: a browser must never run it as a page of this server.
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
        "etag": etag,
    }
    if not whole:
        headers["content-range"] = f"bytes {start}-{end - 1}/{entry.size}"
    if request.method == "HEAD":
        file.close()
        return Response(status_code=200 if whole else 206, headers=headers)
    return StreamingResponse(pieces(file, start, end - start), status_code=200 if whole else 206, headers=headers)


def _range(header: str | None, size: int) -> tuple[int, int]:
    """First byte and the byte after the last (RFC 9110, section 14); a header that is not understood is ignored."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group() == "bytes=-":
        return 0, size
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return 0, size
    if start >= size:
        raise Refusal(416, "range_not_satisfiable", f"the file has {size} bytes")
    return start, end
