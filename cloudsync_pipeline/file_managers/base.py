"""The contract of a file manager: where a customer's files shall be.

An implementation is rooted at its integration's `destination_prefix`: paths here are relative to it, in
escaped form (`core.keys`), and nothing it does reaches outside it. It is used by many tasks of one event
loop at once, for different paths, and closed once. It does not retry: the engine does.
Errors are those of `core.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from cloudsync_pipeline.core.records import FileState, Permissions, Piece


@dataclass(frozen=True, slots=True)
class FileManagerCapabilities:
    """What a file manager can do; planning reads these and never asks which one it is.

    Attributes:
        atomic_put: a path holds its old or its new content at every moment, never a part.
        move: `move` keeps the internal id and sends no content.
        delete: `delete` is there.
        probe: `get` tells the truth about a path.
        permissions: `read_permissions` and `set_permissions` are there.
        permissions_in_answers: what `put` returns tells the permissions, so they need not be read.
        list: `list` is there.
        read: `read` is there.
        content_hash: `get` and acknowledgements carry a fingerprint.
        stable_ids: the internal id survives update and move.
        folders_are_files: `a` and `a/b` can both be files.
        case_sensitive: `A` and `a` are two paths.
        max_path_bytes, max_name_bytes: limits of a whole path and of one part of it, or None.
    """

    atomic_put: bool = False
    move: bool = True
    delete: bool = True
    probe: bool = True
    permissions: bool = True
    permissions_in_answers: bool = False
    list: bool = False
    read: bool = False
    content_hash: bool = False
    stable_ids: bool = False
    folders_are_files: bool = True
    case_sensitive: bool = True
    max_path_bytes: int | None = None
    max_name_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What `put` is to store.

    Attributes:
        size: bytes that `chunks` will give, exactly.
        chunks: the content, once. It raises in place of the last chunk where verification fails; the
            implementation then aborts, stores nothing where `atomic_put`, and lets the error through.
        replace: True for an update of a file that is there, False for a new one.
        content_type, metadata: passed on where the file manager keeps them.
        content: all that `chunks` would give, where it is there already and was verified; whoever takes this leaves
            `chunks` alone.
        md5: once `chunks` has ended, their MD5 in hexadecimal, computed on their way, so that nobody has to compute
            it again; None where the sender computes none.
    """

    size: int
    chunks: AsyncIterator[Piece]
    replace: bool = False
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    md5: Callable[[], str] | None = None
    content: bytes | None = None


class FileManager(Protocol):
    """See the module's docstring."""

    @property
    def capabilities(self) -> FileManagerCapabilities:
        """Complete after `connect`; configuration wins over what was probed."""
        ...

    @property
    def identity(self) -> Mapping[str, str]:
        """Which file manager this is (type, URL or root, destination prefix), without secrets; stored in the lake."""
        ...

    async def connect(self) -> None:
        """Probe abilities once; called before anything else. Repeatable.

        Raises:
            AccessDenied, Unreachable, Unavailable: with a remedy.
        """
        ...

    async def put(self, path: str, upload: Upload) -> FileState:
        """Store a file, whole. Sending it again stores it again.

        Returns what was acknowledged; `path` and, where told, `size` are checked against what was sent.

        Raises:
            PathRejected: it cannot hold this path, ever, while the rest is as it is.
            BadAnswer: the acknowledgement is incomplete or contradicts the request: outcome unknown.
            StorageFull, AccessDenied, Rejected, Unreachable, Unavailable, Throttled.
        """
        ...

    async def move(self, path: str, new_path: str) -> FileState:
        """Rename a file; what stood at `new_path` is replaced. Returns the file at its new path.

        Raises:
            NotFound: nothing stands at `path`.
            PathRejected: it cannot hold `new_path`.
            CapabilityMissing: `move` is not declared.
        """
        ...

    async def delete(self, path: str) -> None:
        """Delete one file (folders that become empty may go with it).

        Raises:
            NotFound: nothing stands at `path`; the caller takes that as done.
            CapabilityMissing: `delete` is not declared.
        """
        ...

    async def get(self, path: str) -> FileState:
        """What is true of one path now.

        Raises:
            NotFound: no file stands there.
            CapabilityMissing: `probe` is not declared.
        """
        ...

    async def read_permissions(self, path: str) -> Permissions:
        """Raises NotFound, CapabilityMissing."""
        ...

    async def set_permissions(self, path: str, desired: Permissions) -> Permissions:
        """Set what `desired` names, leave the rest; returns what holds now. Raises NotFound, CapabilityMissing."""
        ...

    def list(self) -> AsyncIterator[FileState]:
        """Every file below the destination prefix, once each, in no promised order.

        Raises:
            CapabilityMissing: `list` is not declared.
        """
        ...

    def read(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """A file's bytes, for verification.

        Raises:
            NotFound, CapabilityMissing.
        """
        ...

    async def flush(self) -> None:
        """Make every operation acknowledged so far durable; called before its outcome is committed."""
        ...

    async def report(self, results: Mapping[str, Any]) -> None:
        """Tell the file manager how a sync went; a no-op where it has no such call."""
        ...

    async def health(self) -> None:
        """One cheap call that proves address, credentials and the right to write below the prefix."""
        ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
