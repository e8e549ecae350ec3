"""Outcomes into the lake: what was acknowledged into `files`, what is paid out of `owed`, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.records import Operation, Outcome, OutcomeStatus
from cloudsync_pipeline.core.retry import LONGEST_QUARANTINE
from cloudsync_pipeline.lake import plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.observing import looked_through
from cloudsync_pipeline.lake.owed import quarantine
from cloudsync_pipeline.lake.rows import put_rows
from cloudsync_pipeline.lake.scripts import run_script

_RESULTS_FIELDS: list[pa.Field[Any]] = [
    pa.field("op_id", pa.string()),
    pa.field("plan_id", pa.string()),
    pa.field("seq", pa.int64()),
    pa.field("kind", pa.string()),
    pa.field("path", pa.string()),
    pa.field("new_path", pa.string()),
    pa.field("status", pa.string()),
    pa.field("ended_at", pa.timestamp("us", tz="UTC")),
    pa.field("found", pa.bool_()),
    pa.field("gone", pa.bool_()),
    pa.field("internal_id", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("etag", pa.string()),
    pa.field("version_id", pa.string()),
    pa.field("fingerprint_kind", pa.string()),
    pa.field("fingerprint_value", pa.string()),
    pa.field("permissions", pa.string()),
    pa.field("owner", pa.string()),
    pa.field("group_name", pa.string()),
    pa.field("permissions_known", pa.bool_()),
    pa.field("content_type", pa.string()),
    pa.field("bytes_sent", pa.int64()),
    pa.field("seconds", pa.float64()),
    pa.field("attempts", pa.int32()),
    pa.field("error", pa.string()),
    pa.field("error_kind", pa.string()),
    pa.field("retryable", pa.bool_()),
    pa.field("try_after", pa.timestamp("us", tz="UTC")),
]
_RESULTS = pa.schema(_RESULTS_FIELDS)


_ONLY_NEW = {("create", True), ("read_permissions", True)}
"""What needs no look at what else stood where it is now: (kind, done)."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation and what became of it."""

    operation: Operation
    outcome: Outcome


def record(
    lake: Lake,
    run_id: str,
    plan_id: str,
    done: Sequence[Done],
    *,
    quarantine_after: int,
    permissions: bool,
    dispatched_seq: int | None,
    now: datetime,
    close: bool = False,
) -> None:
    """Commit a batch of outcomes. Of any path, a batch holds outcomes of one stage of a plan only.

    Args:
        quarantine_after: a path that failed in so many runs is quarantined.
        permissions: the file manager can set them, so that those asked for are owed until it has.
        dispatched_seq: operations up to this one may be sent once this is committed; None leaves it as it is.
        close: the plan is executed with this batch.

    Raises:
        CommitFailed, StorageFull: nothing of it was recorded; sending must stop.
    """
    results = [_row(item) for item in done]
    kinds = {(item.operation.kind.value, item.outcome.status is OutcomeStatus.DONE) for item in done}
    rows = looked_through(lake)
    makes_room = not kinds.isdisjoint({("move", True), ("delete", True)}) or any(one.outcome.gone for one in done)

    def work(connection: Connection) -> None:
        put_rows(connection, "results", _RESULTS, results)
        with lake.looking_through(rows):
            run_script(connection, "find_files", {})
            run_script(connection, "record_outcomes", {"run_id": run_id})
            if not kinds <= _ONLY_NEW or _any(connection, "files_before"):
                run_script(connection, "record_files_left", {})
            run_script(connection, "record_files", {})
            if ("move", True) in kinds:
                run_script(connection, "record_moves", {})
            if ("delete", True) in kinds:
                run_script(connection, "record_deletes", {})
            run_script(connection, "find_debts", {})
        run_script(connection, "record_debts", {"now": now})
        if permissions and _any(connection, "desired_permissions"):
            run_script(connection, "record_permission_debts", {"now": now})
        if any(not succeeded for _, succeeded in kinds):
            run_script(connection, "record_failures", {"now": now})
            _quarantine(connection, quarantine_after, now)
        if makes_room:
            run_script(connection, "record_room", {})
        if dispatched_seq is not None:
            connection.execute(
                "UPDATE plans SET dispatched_seq = greatest(?, coalesce(dispatched_seq, -1)) WHERE plan_id = ?",
                [dispatched_seq, plan_id],
            )
        if close:
            connection.execute(
                "UPDATE plans SET closed_at = ?, closed_as = ? WHERE plan_id = ?", [now, plans.EXECUTED, plan_id]
            )

    lake.commit(
        work,
        run_id=run_id,
        step="execute",
        message=f"{len(done)} outcomes of {plan_id}",
        unique=("files", "owed", *(("desired_permissions",) if ("move", True) in kinds else ())),
        rows=rows,
    )


def _any(connection: Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _quarantine(connection: Connection, quarantine_after: int, now: datetime) -> None:
    """Paths that the destination cannot hold, at once; paths that failed too often, from now on."""
    rows = connection.execute(
        """
        SELECT DISTINCT w.path, w.aspect, w.attempts
        FROM owed w JOIN results r
          ON w.path IN (r.path, r.new_path)
         AND w.aspect = CASE WHEN r.kind IN ('set_permissions', 'read_permissions')
                             THEN 'permissions' ELSE 'content' END
        WHERE (r.status = 'quarantined' AND w.path = coalesce(r.new_path, r.path))
           OR (r.status = 'failed' AND w.attempts >= ?)
        """,
        [quarantine_after],
    ).fetchall()
    quarantine(connection, rows, quarantine_after, now)


def _row(item: Done) -> dict[str, object]:
    operation, outcome = item.operation, item.outcome
    file = outcome.file
    print_ = file.fingerprint if file else None
    permissions = file.permissions if file else None
    # An absurd wait is no reason never to try again.
    wait = min(outcome.retry_after or 0.0, LONGEST_QUARANTINE.total_seconds())
    return {
        "op_id": operation.op_id,
        "plan_id": operation.plan_id,
        "seq": operation.seq,
        "kind": operation.kind.value,
        "path": operation.path,
        "new_path": operation.new_path,
        "status": outcome.status.value,
        "ended_at": outcome.at,
        "found": file is not None and outcome.status is not OutcomeStatus.DONE,
        "gone": outcome.gone,
        "internal_id": file.internal_id if file else None,
        "size": file.size if file and file.size is not None else operation.size,
        "etag": outcome.etag,
        "version_id": outcome.version_id,
        "fingerprint_kind": print_.kind if print_ else None,
        "fingerprint_value": print_.value if print_ else None,
        "permissions": permissions.permissions if permissions else None,
        "owner": permissions.owner if permissions else None,
        "group_name": permissions.group if permissions else None,
        "permissions_known": permissions.known if permissions else False,
        "content_type": file.content_type if file and file.content_type else operation.content_type,
        "bytes_sent": outcome.bytes_sent,
        "seconds": outcome.seconds,
        "attempts": outcome.attempts,
        "error": outcome.error,
        "error_kind": outcome.error_kind,
        "retryable": outcome.retryable,
        "try_after": outcome.at + timedelta(seconds=wait) if wait else None,
    }
