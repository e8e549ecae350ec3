"""The HTTP API: routes, validation, answers. What it stores, `files` knows."""

from __future__ import annotations

import errno
import importlib.metadata
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from cloudsync_pipeline.devserver import feed, reading
from cloudsync_pipeline.devserver.answers import MAX_PATH_BYTES, Answer, Refusal, checked_path, strict_json
from cloudsync_pipeline.devserver.files import Files, now
from cloudsync_pipeline.devserver.forms import Form, read_form
from cloudsync_pipeline.devserver.guard import Guard
from cloudsync_pipeline.devserver.index import set_access
from cloudsync_pipeline.devserver.settings import Settings

SERVICE = "cloudsync-devserver"
CAPABILITIES = {
    "atomic_put": True,
    "move": True,
    "delete": True,
    "probe": True,
    "permissions": True,
    "list": True,
    "read": True,
    "content_hash": True,
    "stable_ids": True,
    "folders_are_files": True,
    "case_sensitive": True,
    "max_path_bytes": MAX_PATH_BYTES,
}
OPERATIONS = ("create", "update", "rename", "move", "delete", "get")
_SIZE = re.compile(r"[0-9]{1,18}")
_PERMISSIONS = re.compile(r"[r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-]")


@cache
def _version() -> str:
    try:
        return importlib.metadata.version("cloudsync-pipeline")
    except importlib.metadata.PackageNotFoundError:
        return "unreleased"  # run from a source tree that is not installed


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens the root folder when it starts and lets go of it when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        files = Files(settings)
        app.state.files = files
        try:
            yield
        finally:
            files.close()

    app = FastAPI(title=SERVICE, openapi_url=None, lifespan=lifespan)
    app.state.operations = Counter()
    app.state.started_at = now()
    app.add_middleware(Guard, settings=settings)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _disk_error)
    app.add_exception_handler(sqlite3.Error, _disk_error)
    app.add_exception_handler(Exception, _broken)
    app.add_api_route("/", _health, methods=["GET"])
    app.add_api_route("/saveToDisk", _save_to_disk, methods=["POST"])
    app.add_api_route("/updatePermissions", _update_permissions, methods=["POST"])
    reading.add_routes(app)
    feed.add_routes(app)
    return app


async def _health() -> Response:
    return Answer({"status": "ok", "service": SERVICE, "version": _version(), "capabilities": CAPABILITIES})


async def _save_to_disk(request: Request) -> Response:
    files: Files = request.app.state.files
    form = await read_form(request, files.writer)
    try:
        operation = form.get("operation")
        if operation is None:
            raise Refusal(400, "missing_field", "operation is missing")
        if operation not in OPERATIONS:
            raise Refusal(400, "unknown_operation", f"operation is none of {', '.join(OPERATIONS)}")
        path = checked_path(form.fields.get("file_path", ""))
        if operation in {"create", "update"}:
            answer = await _put(files, form, operation, path)
        elif operation in {"rename", "move"}:
            new_path = checked_path(form.fields.get("new_path", ""), "new_path")
            entry = await files.move(path, new_path)
            answer = entry.described(operation, f"{operation}d", path=path, new_path=new_path)
        elif operation == "delete":
            answer = (await files.delete(path)).described(operation, "deleted")
        else:
            answer = files.find(path).described(operation, "found")
    finally:
        # `finish` has taken what was stored; anything else must not stay on disk.
        if form.file is not None and not form.file.finished:
            form.file.discard()
    request.app.state.operations[operation] += 1
    return Answer(answer)


async def _put(files: Files, form: Form, operation: str, path: str) -> dict[str, object]:
    if form.file is None:
        raise Refusal(400, "missing_field", f"{operation} needs the field file")
    size = form.get("size")
    if size is not None and not _SIZE.fullmatch(size):
        raise Refusal(400, "invalid_field", "size is not a number of bytes")
    if size is not None and int(size) != form.file.size:
        raise Refusal(400, "size_mismatch", f"size says {size} bytes, the file has {form.file.size}")
    metadata = form.get("metadata")
    if metadata is not None and not isinstance(strict_json(metadata, "metadata"), dict):
        raise Refusal(400, "invalid_field", "metadata is no JSON object")
    entry, replaced = await files.put(
        path,
        form.file,
        file_type=form.get("file_type") or form.file_type,
        metadata=metadata,
        must_exist=operation == "update",
    )
    return entry.described(operation, "updated" if replaced else "created")


async def _update_permissions(request: Request) -> Response:
    files: Files = request.app.state.files
    form = await read_form(request, files.writer)
    if form.file is not None:
        form.file.discard()
    path = checked_path(form.fields.get("file_path", ""))
    permissions, owner, group = (form.get(name) for name in ("permissions", "owner", "group"))
    if permissions is not None and not _PERMISSIONS.fullmatch(permissions):
        raise Refusal(400, "invalid_field", "permissions do not read like rw-r--r--")
    if permissions is None and owner is None and group is None:
        entry = files.find(path)
    else:
        at = now()
        entry = await files.change(lambda connection: set_access(connection, path, permissions, owner, group, at))
        request.app.state.operations["set_permissions"] += 1
    return Answer({"file_path": path, "internal_id": entry.internal_id, **entry.access()})


# --- errors -------------------------------------------------------------------------------------


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for it alone
    return error.answer()


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    answer = Refusal(error.status_code, code, str(error.detail)).answer()
    answer.headers.update(error.headers or {})
    return answer


async def _gone(_: Request, __: Exception) -> Response:
    return Refusal(400, "client_disconnected", "the client went away").answer()


async def _disk_error(_: Request, error: Exception) -> Response:
    full = (isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}) or (
        isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL
    )
    if full:
        return Refusal(507, "storage_full", "there is no room left on the server's disk").answer()
    raise error


async def _broken(_: Request, __: Exception) -> Response:
    return Refusal(500, "internal_error", "the server failed; its log says why").answer()
