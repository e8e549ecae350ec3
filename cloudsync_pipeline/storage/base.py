"""The contract of a storage: where a customer's objects are. We only ever read it.

An implementation is asked for one container (bucket, share, folder), optionally below a prefix, and
hides that prefix: keys here are relative to it, in escaped form (`core.keys`).
All calls are coroutines of one event loop; a storage is used by many tasks at once and closed once.
Errors are those of `core.errors`, never a vendor's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

import pyarrow as pa

from cloudsync_pipeline.core.records import Piece, StorageObject

_LISTING_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("size", pa.int64(), nullable=False),
    pa.field("etag", pa.string(), nullable=False),
    pa.field("last_modified", pa.timestamp("us", tz="UTC")),
    pa.field("version_id", pa.string()),
    pa.field("storage_class", pa.string()),
    pa.field("content_type", pa.string()),
    pa.field("fingerprint_kind", pa.string()),
    pa.field("fingerprint_value", pa.string()),
    pa.field("stable_id", pa.string()),
    pa.field("parent_id", pa.string()),
    pa.field("observed_at", pa.timestamp("us", tz="UTC"), nullable=False),
]

LISTING_SCHEMA = pa.schema(_LISTING_FIELDS)
"""One row an object; columns as in `StorageObject`."""


@dataclass(frozen=True, slots=True)
class StorageCapabilities:
    """What a storage can do; planning reads these and never asks which storage it is.

    Attributes:
        etag_may_be_md5: an ETag of 32 hexadecimal digits is the content's MD5 unless the object's own
            headers show server-side encryption with KMS or customer keys (`head` then gives a fingerprint).
        content_hash: listings carry a fingerprint.
        stable_ids: objects keep `stable_id` across renames.
        versions: `version_id` is given, and `read` can ask for one.
        ranges: `read` honours `start` and `length`.
        conditional_read: `read` honours `if_match`.
    """

    etag_may_be_md5: bool = False
    content_hash: bool = False
    stable_ids: bool = False
    versions: bool = False
    ranges: bool = True
    conditional_read: bool = True


class ObjectBody(Protocol):
    """An open read.

    Attributes:
        object: what the read's own answer said of the version being read.
        content: all that `chunks` would give, where it is small and there already; None where it is to be streamed.
    """

    object: StorageObject
    content: bytes | None

    def chunks(self) -> AsyncIterator[Piece]:
        """The bytes in order, in pieces of at most 1 MiB, as stored (never decompressed).

        Raises:
            BadAnswer: the body ended before the announced length.
            Unreachable: the connection broke.
        """
        ...


class Storage(Protocol):
    """See the module's docstring."""

    @property
    def capabilities(self) -> StorageCapabilities: ...

    @property
    def identity(self) -> Mapping[str, str]:
        """Which storage this is (type, endpoint, container, prefix, ...), without secrets; stored in the lake."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[pa.RecordBatch]:
        """Every object whose key begins with `prefix`, once each, in no promised order.

        Yields batches of `LISTING_SCHEMA`, 1 to 10,000 rows each; memory stays bounded whatever the size of
        the bucket. `observed_at` is the time its page was requested. The iterator ends only when the listing is
        complete. Listing again gives the current state.

        Raises:
            ContainerNotFound, AccessDenied: from the first page on.
            IncompleteListing: it broke off, after the adapter's own retries of single pages.
        """
        ...

    async def head(self, key: str) -> StorageObject:
        """What is true of one key now.

        Raises:
            NotFound: there is no such object, or its newest version is a delete marker.
            AccessDenied, Unreachable, Unavailable, ContainerNotFound: existence is not known.
        """
        ...

    def read(
        self,
        key: str,
        *,
        if_match: str | None = None,
        start: int = 0,
        length: int | None = None,
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """Open an object for streaming, from byte `start`, for `length` bytes or to its end.

        Raises (on entering):
            NotFound: no such object.
            PreconditionFailed: its ETag is not `if_match`.
            CapabilityMissing: a range was asked for where `ranges` is not declared.
            BadAnswer, Unreachable: the body of a small object, which may be read at once, was cut off.
        """
        ...

    async def health(self) -> None:
        """One cheap call that proves container, credentials and the right to list.

        Raises:
            ContainerNotFound, AccessDenied, Unreachable, Unavailable: with a remedy.
        """
        ...

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
