"""An integration's files, operations and quarantine, page by page and with their state, for programs that ask.

A page is told where the one before ended, and from which snapshot: pages of one listing fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cloudsync_pipeline.lake.lake import Lake
from cloudsync_pipeline.lake.schema import sql

FileState = Literal["in_step", "owed", "quarantined"]
OperationStatus = Literal["done", "failed", "skipped", "quarantined", "held", "open", "dropped"]


@dataclass(frozen=True, slots=True)
class FileRow:
    """A path: what the file manager holds there, and whether that is what it should hold.

    Attributes:
        present: the file manager confirmed a file here; one that is not there yet is only owed.
        state: in step with the storage, owed, or quarantined.
        reason: why it is owed, in words.
        error: what its last try met.
    """

    path: str
    present: bool
    state: FileState
    size: int | None
    internal_id: str | None
    permissions: str | None
    owner: str | None
    group: str | None
    content_type: str | None
    confirmed_at: datetime | None
    reason: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation of a plan, and what became of it.

    Attributes:
        status: of its outcome; "held" by the delete guard; "open" where nothing is known of its end
            yet; "dropped" with its plan, before it was sent: what is owed all the same stands in a later plan.
        planned_at, ended_at: UTC.
        bytes: of content that was sent.
    """

    op_id: str
    plan_id: str
    run_id: str
    seq: int
    planned_at: datetime
    kind: str
    path: str
    new_path: str | None
    size: int | None
    status: OperationStatus
    ended_at: datetime | None
    bytes: int | None
    seconds: float | None
    attempts: int | None
    error: str | None
    error_kind: str | None


def files(
    lake: Lake,
    *,
    version: int,
    limit: int,
    prefix: str = "",
    state: FileState | None = None,
    after: str | None = None,
) -> list[FileRow]:
    """Paths that the file manager holds or is owed, by path.

    Args:
        version: a snapshot, as `Lake.as_of` gives it.
        prefix: only paths that begin with it.
        state: only those.
        after: only paths that follow this one.
    """
    query = sql("page_of_files").replace("$version", str(int(version)))
    asked = {"prefix": prefix, "state": state, "after": after, "limit": limit}
    return [FileRow(*row) for row in lake.read(query, asked)]


def operations(
    lake: Lake,
    *,
    limit: int,
    run_id: str | None = None,
    status: OperationStatus | None = None,
    prefix: str = "",
    after: tuple[datetime, str, int] | None = None,
) -> list[OperationRow]:
    """Operations with their outcomes: of the newest plan first, within a plan in the order of sending.

    Args:
        run_id: only those planned by this run.
        status: only those that stand so.
        prefix: only those whose path, or new path, begins with it.
        after: time of its plan, plan and number of the last one seen.
    """
    planned_at, plan_id, seq = after or (None, None, None)
    asked: dict[str, Any] = {
        "run_id": run_id,
        "status": status,
        "prefix": prefix,
        "planned_at": planned_at,
        "plan_id": plan_id,
        "seq": seq,
        "limit": limit,
    }
    return [OperationRow(*row) for row in lake.read(sql("page_of_operations"), asked)]


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A debt that is not tried for now.

    Attributes:
        aspect: "content" or "permissions".
        next_try: None where only a person makes it due again.
    """

    path: str
    aspect: str
    error: str
    error_kind: str
    attempts: int
    since: datetime
    quarantined_at: datetime
    next_try: datetime | None


def quarantine(
    lake: Lake, *, limit: int, prefix: str = "", after: tuple[str, str] | None = None
) -> Sequence[QuarantineRow]:
    """Quarantined debts with their reasons, by path and aspect, from behind `after` on."""
    path, aspect = after or (None, None)
    rows = lake.read(
        """
        SELECT path, aspect, coalesce(last_error, ''), coalesce(last_error_kind, ''), coalesce(attempts, 0), since,
               quarantined_at, CASE WHEN isfinite(next_try) THEN next_try END
        FROM owed
        WHERE quarantined_at IS NOT NULL AND starts_with(path, $prefix)
          AND ($path IS NULL OR (path, aspect) > ($path, $aspect))
        ORDER BY path, aspect
        LIMIT $limit
        """,
        {"prefix": prefix, "path": path, "aspect": aspect, "limit": limit},
    )
    return [QuarantineRow(*row) for row in rows]
