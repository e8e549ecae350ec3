"""What is known of objects, files and operations, as plain frozen data. Times are UTC and aware, sizes bytes.

Keys and paths are in their escaped form (`core.keys`). A path is relative to its integration's
`destination_prefix`, so that an object and the file made from it have the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from cloudsync_pipeline.core.fingerprint import Fingerprint

Piece: TypeAlias = bytes | bytearray
"""Some content on its way, in the memory that it was received into; whoever gets it does not change it."""


@dataclass(frozen=True, slots=True)
class StorageObject:
    """One object as a storage described it.

    Attributes:
        key: escaped key, relative to the storage's configured prefix.
        size: bytes.
        etag: the provider's version label, without quotes; opaque. Changes whenever the content does.
        last_modified: as the storage says, or None.
        observed_at: the storage's own time of the answer (its `Date` header) or ours where it gives none.
        fingerprint: a digest that the provider vouches for, else None.
        stable_id, parent_id: for providers whose objects keep an id across renames.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime | None
    observed_at: datetime
    version_id: str | None = None
    storage_class: str | None = None
    content_type: str | None = None
    fingerprint: Fingerprint | None = None
    stable_id: str | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Permissions:
    """Who may do what with a file. None means: not known, or (when setting) leave as it is."""

    permissions: str | None = None
    owner: str | None = None
    group: str | None = None

    @property
    def known(self) -> bool:
        return any((self.permissions, self.owner, self.group))


@dataclass(frozen=True, slots=True)
class FileState:
    """One file as a file manager describes it. What it does not tell is None."""

    path: str
    internal_id: str | None = None
    size: int | None = None
    fingerprint: Fingerprint | None = None
    permissions: Permissions = field(default_factory=Permissions)
    saved_at: datetime | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class OperationKind(StrEnum):
    """What a plan can ask of a file manager."""

    CREATE = "create"
    UPDATE = "update"
    MOVE = "move"
    DELETE = "delete"
    SET_PERMISSIONS = "set_permissions"
    READ_PERMISSIONS = "read_permissions"


@dataclass(frozen=True, slots=True)
class Operation:
    """One planned action: data without behaviour.

    Attributes:
        op_id: unique in the lake; derived from plan and sequence, so a replan gives other ids.
        plan_id: the plan it belongs to.
        seq: order of sending within the plan, from 0, without gaps.
        stage: operations of one stage are independent of each other; a stage starts when the one before is
            committed.
        path: the file it acts on; for a move, the old path.
        new_path: for a move, where the file goes.
        size, etag: of the object version to send (create, update) or that the moved content must have.
        internal_id: of the file it acts on, as last confirmed; what an approval binds to.
        reason: why, in words a person can read.
        held: stopped by the delete guard.
        permissions: for set_permissions, what is desired.
    """

    op_id: str
    plan_id: str
    seq: int
    stage: int
    kind: OperationKind
    path: str
    new_path: str | None = None
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    content_type: str | None = None
    internal_id: str | None = None
    fingerprint: Fingerprint | None = None
    reason: str = ""
    held: bool = False
    permissions: Permissions | None = None


class OutcomeStatus(StrEnum):
    """How an operation ended; see `Outcome`."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation, once.

    Attributes:
        status: done; failed (see `retryable`); skipped (no longer needed: planned again next time); quarantined
            (the destination cannot hold it). An operation without an outcome is *unknown*.
        file: what the file manager confirmed: always for done creates, updates and moves; for failed ones, a file
            that was found at the path with unknown content.
        gone: the file manager said that nothing stands at the path (or, for a move, at the old one).
        etag, version_id: of the GET whose bytes were stored.
        bytes_sent: bytes of content that travelled.
        error: what went wrong, and what to do, without secrets.
        error_kind: the class name of the error.
        retry_after: seconds the other side asked to wait.
    """

    status: OutcomeStatus
    at: datetime
    file: FileState | None = None
    gone: bool = False
    etag: str | None = None
    version_id: str | None = None
    bytes_sent: int = 0
    seconds: float = 0.0
    attempts: int = 1
    error: str | None = None
    error_kind: str | None = None
    retryable: bool = False
    retry_after: float | None = None
