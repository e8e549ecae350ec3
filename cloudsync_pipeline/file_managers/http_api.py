"""A file manager that speaks the HTTP API: `POST /saveToDisk` and its companions.

The API promises neither atomicity nor idempotency, and answers are not taken on trust: an acknowledgement that
is incomplete or contradicts what was sent is none. A server that can do more says so in the JSON of `GET /`:
`{"status": "ok", "capabilities": {"atomic_put": true, ...}}`, with the names of `FileManagerCapabilities`. Where
`list` and `read` are declared, they are `GET /files?prefix=&after=&limit=` (`{"files": [...], "next": "..."}`, in
the order of paths, `next` for the next `after` or null) and `GET /files/content?file_path=`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self
from urllib.parse import quote, urlencode

from yarl import URL

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.core.errors import BadAnswer, ConfigError, NotFound, PathRejected, Rejected
from cloudsync_pipeline.core.records import FileState, Permissions, Piece
from cloudsync_pipeline.file_managers import paths
from cloudsync_pipeline.file_managers.abilities import require
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities, Upload
from cloudsync_pipeline.file_managers.http_answers import Acknowledgement, json_object
from cloudsync_pipeline.file_managers.http_calls import Body, Calls
from cloudsync_pipeline.file_managers.http_settings import (
    PROMISED,
    HttpApiSettings,
    merged,
)
from cloudsync_pipeline.file_managers.multipart import FileForm, Form
from cloudsync_pipeline.transport.failures import shown

__all__ = ["HttpApiFileManager", "HttpApiSettings"]

WHO = "the file manager"
_PAGE = 1000
_PROBE = "cloudsync-health-probe"


class HttpApiFileManager:
    """See the module's docstring and `base.FileManager`."""

    def __init__(self, settings: HttpApiSettings) -> None:
        self._settings = settings
        self._calls = Calls(settings, WHO)
        prefix = keys.unescape("/".join(map(keys.escape_bytes, paths.split_prefix(settings.destination_prefix))))
        self._before = f"{prefix}/" if prefix else ""
        self._capabilities = merged(PROMISED, settings.capabilities)
        self._opaque = bool(settings.opaque_paths)
        self._connected = False

    @property
    def capabilities(self) -> FileManagerCapabilities:
        return self._capabilities

    @property
    def identity(self) -> Mapping[str, str]:
        return {
            "type": "http_api",
            "base_url": self._settings.base_url.rstrip("/"),
            "destination_prefix": self._before.removesuffix("/"),
        }

    async def connect(self) -> None:
        if not self._connected:
            self._learn(await self._greet())
            self._connected = True

    async def _greet(self) -> bytes:
        try:
            return await self._calls.ask("/", what=_answer_to("GET /"))
        except NotFound as error:
            raise ConfigError(
                f"There is no file manager at {shown(URL(self._settings.base_url))} (GET / answers 404).",
                remedy="Check the base URL.",
            ) from error

    def _learn(self, greeting: bytes) -> None:
        try:
            answer = json.loads(greeting)
        except (ValueError, RecursionError):
            answer = None  # the API promises no body here
        declared = answer.get("capabilities") if isinstance(answer, dict) else None
        known = PROMISED
        if isinstance(declared, dict):
            known = merged(PROMISED, declared)
            if known.max_path_bytes is not None:
                # Its limit is for the path that it sees, which has the prefix.
                known = replace(known, max_path_bytes=max(1, known.max_path_bytes - len(self._before.encode())))
        if self._settings.opaque_paths is None:
            self._opaque = isinstance(declared, dict) and known.folders_are_files
        self._capabilities = merged(known, self._settings.capabilities)

    # --- changing -----------------------------------------------------------------------------------

    async def put(self, path: str, upload: Upload) -> FileState:
        operation = "update" if upload.replace else "create"
        full = self._full(path)
        fields = {"operation": operation, "file_path": full, "size": str(upload.size)}
        if upload.content_type:
            fields["file_type"] = upload.content_type.encode("utf-8", "replace").decode()
        if upload.metadata:
            fields["metadata"] = json.dumps(dict(upload.metadata))
        form = FileForm(fields, upload.size, upload.content_type)
        body = Body(form, upload.chunks, upload.content, hashing=self._capabilities.content_hash)
        what = _answer_to(operation)
        try:
            answer = await self._calls.upload("/saveToDisk", body, what=what, key=path)
        except NotFound as error:
            if upload.replace:
                raise
            raise Rejected(f"{what}: HTTP 404.", key=path, remedy="Check the base URL.") from error
        acknowledged = Acknowledgement(json_object(answer, what, path), what, path)
        acknowledged.check_operation(operation)
        acknowledged.check_path(full)
        state = acknowledged.state(path, content_hash=self._capabilities.content_hash)
        if state.size not in (None, upload.size):
            raise BadAnswer(f"{what} tells {state.size} bytes, and {upload.size} were sent.", key=path)
        if state.fingerprint is not None and state.fingerprint.kind == "md5" and state.fingerprint.value != body.md5:
            raise BadAnswer(f"{what} tells another MD5 than that of the content sent.", key=path)
        return state

    async def move(self, path: str, new_path: str) -> FileState:
        require(self._capabilities, "move", WHO)
        full, new_full = self._full(path), self._full(new_path)
        # The API has both words; a rename stays in its folder.
        operation = "rename" if full.rpartition("/")[0] == new_full.rpartition("/")[0] else "move"
        acknowledged = await self._operate(operation, path, full, new_path=new_full)
        at = acknowledged.check_path(full, new_full)
        acknowledged.check_path(new_full, field="new_path", required=at != new_full)
        return acknowledged.state(new_path, content_hash=self._capabilities.content_hash)

    async def delete(self, path: str) -> None:
        require(self._capabilities, "delete", WHO)
        full = self._full(path)
        (await self._operate("delete", path, full)).check_path(full)

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        named = {"permissions": desired.permissions, "owner": desired.owner, "group": desired.group}
        wanted = {name: value for name, value in named.items() if value is not None}
        now = await self._update_permissions(path, wanted)
        for name, value in wanted.items():
            if getattr(now, name) != value:
                raise BadAnswer(f"{_answer_to('updatePermissions')} does not have the {name} that was set.", key=path)
        return now

    # --- asking -------------------------------------------------------------------------------------

    async def get(self, path: str) -> FileState:
        require(self._capabilities, "probe", WHO)
        full = self._full(path)
        acknowledged = await self._operate("get", path, full)
        acknowledged.check_path(full)
        return acknowledged.state(path, content_hash=self._capabilities.content_hash)

    async def read_permissions(self, path: str) -> Permissions:
        return await self._update_permissions(path, {})

    async def list(self) -> AsyncIterator[FileState]:
        require(self._capabilities, "list", WHO)
        what = _answer_to("GET /files")
        after: str | None = None
        while True:
            query = {"prefix": self._before, "limit": str(_PAGE)} | ({} if after is None else {"after": after})
            body = await self._calls.ask(f"/files?{_query(query)}", what=what)
            page = json_object(body, what, None)
            files = page.get("files")
            if not isinstance(files, list):
                raise BadAnswer(f"{what} holds no files.")
            for entry in files:
                yield self._listed(entry, what)
            following = page.get("next")
            if following is None:
                return
            if not isinstance(following, str) or (after is not None and following == after) or not files:
                raise BadAnswer(f"{what} does not come to an end.")
            after = following

    def _listed(self, entry: object, what: str) -> FileState:
        full = entry.get("file_path") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(full, str) or not full.startswith(self._before):
            raise BadAnswer(f"{what} holds an entry that was not asked for.")
        path = keys.escape(full.removeprefix(self._before))
        return Acknowledgement(entry, what, path).state(path, content_hash=self._capabilities.content_hash)

    @asynccontextmanager
    async def read(self, path: str) -> AsyncIterator[AsyncIterator[Piece]]:
        require(self._capabilities, "read", WHO)
        call = f"/files/content?{_query({'file_path': self._full(path)})}"
        async with self._calls.download(call, what=_answer_to("GET /files/content"), key=path) as pieces:
            yield pieces

    # --- the rest -----------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Nothing: what is acknowledged is the server's to keep."""

    async def report(self, results: Mapping[str, Any]) -> None:
        await self._calls.report(results)

    async def health(self) -> None:
        await self._greet()
        if self._capabilities.probe:
            # `GET /` may be open to everyone; this asks for a file that is not there, with our credentials.
            try:
                await self.get(_PROBE)
            except NotFound:
                return

    async def close(self) -> None:
        await self._calls.close()

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _full(self, path: str) -> str:
        """The path as the server shall see it. Raises PathRejected where it cannot be sent, or must not be."""
        most, longest = self._capabilities.max_path_bytes, self._capabilities.max_name_bytes
        if self._opaque:
            raw = keys.unescape_bytes(path)
            if not raw:
                raise PathRejected("The path is empty.", key=path, remedy="Exclude the object from the sync.")
            paths.refuse_long(path, max_path=most, max_name=longest)
        else:
            paths.split(path, max_path=most, max_name=longest)
        full = self._before + keys.unescape(path)
        try:
            full.encode()
        except UnicodeEncodeError as error:
            raise PathRejected(
                "The path is no valid UTF-8, which the API cannot carry.",
                key=path,
                remedy="Rename the object, or exclude it from the sync.",
            ) from error
        return full

    async def _operate(self, operation: str, path: str, full: str, **more: str) -> Acknowledgement:
        what = _answer_to(operation)
        form = Form({"operation": operation, "file_path": full, **more})
        body = await self._calls.send("/saveToDisk", form, what=what, key=path)
        acknowledged = Acknowledgement(json_object(body, what, path), what, path)
        acknowledged.check_operation(operation)
        return acknowledged

    async def _update_permissions(self, path: str, fields: Mapping[str, str]) -> Permissions:
        require(self._capabilities, "permissions", WHO)
        what = _answer_to("updatePermissions")
        full = self._full(path)
        form = Form({"file_path": full, **fields})
        body = await self._calls.send("/updatePermissions", form, what=what, key=path)
        acknowledged = Acknowledgement(json_object(body, what, path), what, path)
        acknowledged.check_path(full)
        return acknowledged.permissions()


def _answer_to(call: str) -> str:
    return f"The answer of {WHO} to {call}"


def _query(values: Mapping[str, str]) -> str:
    return urlencode(values, quote_via=quote, safe="")
