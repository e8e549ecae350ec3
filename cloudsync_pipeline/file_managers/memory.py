"""A file manager in memory: the same contract, any set of abilities, and faults on request.

For tests, and for trying out a policy without touching anything. What it holds outlives it in a `MemoryFiles`,
so that a second one can continue where the first was closed or "killed".
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from cloudsync_pipeline.core.errors import BadAnswer, ContentMismatch, NotFound, PathRejected
from cloudsync_pipeline.core.faults import Corrupt, Faults, LoseAnswer, Truncate
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.keys import unescape_bytes
from cloudsync_pipeline.core.records import FileState, Permissions
from cloudsync_pipeline.file_managers.abilities import require
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities, Upload

EVERYTHING = FileManagerCapabilities(
    atomic_put=True,
    move=True,
    delete=True,
    probe=True,
    permissions=True,
    list=True,
    read=True,
    content_hash=True,
    stable_ids=True,
    folders_are_files=True,
    case_sensitive=True,
)
"""All that can be done; permissions are still asked for one by one, as most file managers need it."""

_CHUNK = 64 * 1024
_RENAME = "Rename the object, or exclude it from the sync."


@dataclass(slots=True)
class StoredFile:
    """A file as it is held. Tests may look and change."""

    content: bytes
    internal_id: str
    saved_at: datetime
    permissions: Permissions = field(default_factory=lambda: Permissions("rw-r--r--", "files", "files"))
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class MemoryFiles:
    """What one or several memory file managers hold.

    Attributes:
        files: by full path, destination prefix included, escaped.
        reports: results that were reported, oldest first.
        flushes: how often durability was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.reports: list[Mapping[str, Any]] = []
        self.flushes = 0
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        """An id that no file of these ever had."""
        return f"m{next(self._ids):08d}"


_NAMED: dict[str, MemoryFiles] = {}


def named(name: str) -> MemoryFiles:
    """The files of this name in this process, made at the first call: how configuration can name them."""
    return _NAMED.setdefault(name, MemoryFiles())


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made, for tests."""

    operation: str
    path: str | None = None
    new_path: str | None = None
    replace: bool = False


class MemoryFileManager:
    """See the module's docstring and `base.FileManager`.

    Faults are asked for under the method's name. `Truncate` and `Corrupt` change what `put` stores and `read`
    gives, without a word; `LoseAnswer` raises after the operation is done.

    Args:
        files: what it holds; None for files of its own.
        destination_prefix: plain text put before every path, with a slash between.
        capabilities: what it can do; the rest raises CapabilityMissing. Without `stable_ids` every update and
            move gives a new id; without `atomic_put` an aborted upload leaves the part that came; without
            `content_hash` nothing carries a fingerprint; the path limits are enforced.
        faults: what goes wrong, and when.

    Attributes:
        calls: every call, oldest first.
        stores_nothing: acknowledge creates and updates without storing anything.
        distort: changes every acknowledgement of put and move before it is given.
    """

    def __init__(
        self,
        files: MemoryFiles | None = None,
        *,
        destination_prefix: str = "",
        capabilities: FileManagerCapabilities = EVERYTHING,
        faults: Faults | None = None,
    ) -> None:
        self.held = files if files is not None else MemoryFiles()
        self.faults = faults if faults is not None else Faults()
        self.calls: list[Call] = []
        self.stores_nothing = False
        self.distort: Callable[[FileState], FileState] | None = None
        self._capabilities = capabilities
        self._prefix = destination_prefix.removesuffix("/")
        self._before = f"{self._prefix}/" if self._prefix else ""

    @property
    def capabilities(self) -> FileManagerCapabilities:
        return self._capabilities

    @property
    def identity(self) -> Mapping[str, str]:
        return {"type": "memory", "destination_prefix": self._prefix}

    async def connect(self) -> None:
        await self._called(Call("connect"))

    async def put(self, path: str, upload: Upload) -> FileState:
        effect = await self._called(Call("put", path, replace=upload.replace))
        self._refuse(path)
        content = bytearray()
        try:
            async for chunk in upload.chunks:
                content += chunk
                if len(content) > upload.size:
                    raise ContentMismatch(f"More bytes came than the {upload.size} that were announced.", key=path)
            if len(content) != upload.size:
                raise ContentMismatch(f"{len(content)} bytes came, and {upload.size} were announced.", key=path)
        except BaseException:
            if not self._capabilities.atomic_put and content:
                self._store(path, bytes(content), upload)
            raise
        state = self._store(path, _altered(bytes(content), effect), upload)
        # What it acknowledges is what it was sent: a lie, where a fault changed what it stored.
        return self._answer(replace(state, size=upload.size), effect)

    async def move(self, path: str, new_path: str) -> FileState:
        effect = await self._called(Call("move", path, new_path), "move")
        file = self._file(path)
        del self.held.files[self._before + path]
        try:
            self._refuse(new_path)
        except PathRejected:
            self.held.files[self._before + path] = file
            raise
        if not self._capabilities.stable_ids:
            file.internal_id = self.held.new_id()
        self.held.files[self._before + new_path] = file
        return self._answer(self._state(new_path, file), effect)

    async def delete(self, path: str) -> None:
        effect = await self._called(Call("delete", path), "delete")
        self._file(path)
        del self.held.files[self._before + path]
        _lose(effect)

    async def get(self, path: str) -> FileState:
        effect = await self._called(Call("get", path), "probe")
        state = self._state(path, self._file(path))
        _lose(effect)
        return state

    async def read_permissions(self, path: str) -> Permissions:
        effect = await self._called(Call("read_permissions", path), "permissions")
        _lose(effect)
        return self._file(path).permissions

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        effect = await self._called(Call("set_permissions", path), "permissions")
        file = self._file(path)
        now = file.permissions
        file.permissions = Permissions(
            desired.permissions or now.permissions, desired.owner or now.owner, desired.group or now.group
        )
        _lose(effect)
        return file.permissions

    async def list(self) -> AsyncIterator[FileState]:
        effect = await self._called(Call("list"), "list")
        paths = sorted(path for path in self.held.files if path.startswith(self._before))
        for index, full in enumerate(paths):
            if isinstance(effect, Truncate) and index >= effect.after:
                raise BadAnswer("The listing broke off.")
            file = self.held.files.get(full)
            if file is not None:
                yield self._state(full.removeprefix(self._before), file)
        _lose(effect)

    @asynccontextmanager
    async def read(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        effect = await self._called(Call("read", path), "read")
        content = _altered(self._file(path).content, effect)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(content), _CHUNK):
                yield content[start : start + _CHUNK]
            _lose(effect)

        yield chunks()

    async def flush(self) -> None:
        await self._called(Call("flush"))
        self.held.flushes += 1

    async def report(self, results: Mapping[str, Any]) -> None:
        effect = await self._called(Call("report"))
        self.held.reports.append(dict(results))
        _lose(effect)

    async def health(self) -> None:
        await self._called(Call("health"))

    async def close(self) -> None:
        self.calls.append(Call("close"))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def content(self, path: str) -> bytes:
        """What is held at a path, for assertions; KeyError where nothing is."""
        return self.held.files[self._before + path].content

    def called(self, operation: str) -> tuple[Call, ...]:
        """The calls of one operation, oldest first."""
        return tuple(call for call in self.calls if call.operation == operation)

    async def _called(self, call: Call, ability: str | None = None) -> Truncate | Corrupt | LoseAnswer | None:
        if ability is not None:
            require(self._capabilities, ability, "This memory file manager")
        self.calls.append(call)
        return await self.faults.hit(call.operation, call.path)

    def _file(self, path: str) -> StoredFile:
        file = self.held.files.get(self._before + path)
        if file is None:
            raise NotFound("No file stands at this path.", key=path)
        return file

    def _store(self, path: str, content: bytes, upload: Upload) -> FileState:
        before = self.held.files.get(self._before + path)
        keep = before is not None and self._capabilities.stable_ids
        file = StoredFile(
            content=content,
            internal_id=before.internal_id if before is not None and keep else self.held.new_id(),
            saved_at=datetime.now(UTC),
            content_type=upload.content_type,
            metadata=dict(upload.metadata or {}),
        )
        if before is not None:
            file.permissions = before.permissions
        if not self.stores_nothing:
            self.held.files[self._before + path] = file
        return self._state(path, file)

    def _state(self, path: str, file: StoredFile) -> FileState:
        fingerprint = None
        if self._capabilities.content_hash:
            digest = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
            fingerprint = Fingerprint("md5", digest, len(file.content))
        return FileState(
            path=path,
            internal_id=file.internal_id,
            size=len(file.content),
            fingerprint=fingerprint,
            permissions=file.permissions,
            saved_at=file.saved_at,
            content_type=file.content_type,
            metadata=file.metadata,
        )

    def _answer(self, state: FileState, effect: Truncate | Corrupt | LoseAnswer | None) -> FileState:
        _lose(effect)
        return state if self.distort is None else self.distort(state)

    def _refuse(self, path: str) -> None:
        raw = unescape_bytes(path)
        most, longest = self._capabilities.max_path_bytes, self._capabilities.max_name_bytes
        if not raw:
            raise PathRejected("The path is empty.", key=path, remedy=_RENAME)
        if most is not None and len(raw) > most:
            raise PathRejected(f"The path is {len(raw)} bytes long, and {most} is the limit.", key=path, remedy=_RENAME)
        if longest is not None and any(len(name) > longest for name in raw.split(b"/")):
            raise PathRejected(f"A name in the path is longer than {longest} bytes.", key=path, remedy=_RENAME)
        if self._capabilities.folders_are_files and self._capabilities.case_sensitive:
            return
        for full in self.held.files:
            other = full.removeprefix(self._before)
            if full.startswith(self._before) and other != path and self._clash(other, path):
                raise PathRejected(f"The path clashes with {other!r}.", key=path, remedy=_RENAME)

    def _clash(self, one: str, other: str) -> bool:
        for left, right in zip(one.split("/"), other.split("/"), strict=False):
            if left != right:
                return not self._capabilities.case_sensitive and left.casefold() == right.casefold()
        return not self._capabilities.folders_are_files


def _altered(content: bytes, effect: Truncate | Corrupt | LoseAnswer | None) -> bytes:
    if isinstance(effect, Truncate):
        return content[: effect.after]
    if isinstance(effect, Corrupt) and effect.at < len(content):
        return content[: effect.at] + bytes([content[effect.at] ^ 1]) + content[effect.at + 1 :]
    return content


def _lose(effect: Truncate | Corrupt | LoseAnswer | None) -> None:
    if isinstance(effect, LoseAnswer):
        raise effect.error
