"""Plans as stored: read back, operation by operation, and closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import Operation, OperationKind, Permissions
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.rows import as_list


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan. `dispatched_seq`: operations up to this one may have been sent; -1 before any."""

    plan_id: str
    run_id: str
    made_at: datetime
    mode: str
    operations: int
    held: int
    guard_reason: str | None
    closed_as: str | None
    dispatched_seq: int


_PLAN = (
    "SELECT plan_id, run_id, made_at, mode, operations, held, guard_reason, closed_as, coalesce(dispatched_seq, -1) "
    "FROM plans "
)


def newest(lake: Lake) -> Plan | None:
    """The plan made last, open or not."""
    row = lake.one(_PLAN + "ORDER BY made_at DESC, plan_id DESC LIMIT 1")
    return None if row is None else Plan(*row)


def newest_holding(lake: Lake) -> Plan | None:
    """The newest plan that holds deletes, or None."""
    row = lake.one(_PLAN + "WHERE held > 0 ORDER BY made_at DESC, plan_id DESC LIMIT 1")
    return None if row is None else Plan(*row)


def get(lake: Lake, plan_id: str) -> Plan | None:
    """One plan, or None."""
    row = lake.one(_PLAN + "WHERE plan_id = ?", [plan_id])
    return None if row is None else Plan(*row)


SUPERSEDED = "superseded"
STORAGE_CHANGED = "storage changed"
"""How a plan was closed whose operations may have happened all the same: with the state it followed from gone, or
with the storage it was made for exchanged for another."""
EXECUTED = "executed"
"""How a plan was closed of which everything was sent that is not held."""


def interrupted(lake: Lake) -> list[Plan]:
    """Plans that began to be sent and never ended: their operations may have happened without an outcome."""
    rows = lake.read(
        _PLAN + "WHERE dispatched_seq IS NOT NULL AND (closed_as IS NULL OR closed_as IN (?, ?)) ORDER BY made_at",
        [SUPERSEDED, STORAGE_CHANGED],
    )
    return [Plan(*row) for row in rows]


_OPERATION = """
SELECT o.op_id, o.plan_id, o.seq, o.stage, o.kind, o.path, o.new_path, o.size, o.etag, o.version_id, o.content_type,
       o.internal_id, o.fingerprint_kind, o.fingerprint_value, o.reason, o.held, o.permissions, o.owner, o.group_name
FROM operations o
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is to be sent in one stage of a plan: which kinds of operations, and bytes of content."""

    number: int
    kinds: frozenset[str]
    bytes: int


def stages(lake: Lake, plan_id: str) -> list[Stage]:
    """The stages of a plan in which something is to be sent, in order."""
    rows = lake.read(
        """
        SELECT stage, list(DISTINCT kind),
               coalesce(sum(size) FILTER (WHERE kind IN ('create', 'update')), 0)::BIGINT
        FROM operations WHERE plan_id = ? AND NOT held GROUP BY stage ORDER BY stage
        """,
        [plan_id],
    )
    return [Stage(number, frozenset(kinds), size) for number, kinds, size in rows]


def operations(lake: Lake, plan_id: str, *, stage: int, after: int = -1, limit: int = 2000) -> list[Operation]:
    """Operations of one stage in order of sending, without the held ones, from behind `after` on."""
    rows = lake.read(
        _OPERATION + "WHERE o.plan_id = ? AND o.stage = ? AND o.seq > ? AND NOT o.held ORDER BY o.seq LIMIT ?",
        [plan_id, stage, after, limit],
    )
    return [_operation(row) for row in rows]


_OF_PERMISSIONS = (OperationKind.SET_PERMISSIONS, OperationKind.READ_PERMISSIONS)


def as_files_stand(lake: Lake, operations: Sequence[Operation]) -> list[Operation]:
    """What is left of operations after what the stages before them left undone.

    Permissions of a file that did not come to stand are left out: they stay owed. Content for the place of a file
    that did not move away replaces it.
    """
    asked = [one.path for one in operations if one.kind in _OF_PERMISSIONS or one.kind is OperationKind.CREATE]
    standing = {
        path
        for (path,) in lake.read(
            "SELECT path FROM files WHERE path IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]')))", [as_list(asked)]
        )
    }
    return [
        replace(one, kind=OperationKind.UPDATE) if one.kind is OperationKind.CREATE and one.path in standing else one
        for one in operations
        if one.kind not in _OF_PERMISSIONS or one.path in standing
    ]


def unknown_operations(lake: Lake, plan: Plan) -> list[Operation]:
    """Operations of a plan that may have been sent and have no outcome."""
    rows = lake.read(
        _OPERATION + "ANTI JOIN outcomes c ON c.op_id = o.op_id "
        "WHERE o.plan_id = ? AND o.seq <= ? AND NOT o.held ORDER BY o.seq",
        [plan.plan_id, plan.dispatched_seq],
    )
    return [_operation(row) for row in rows]


def mark_dispatched(lake: Lake, run_id: str, plan_id: str, seq: int) -> None:
    """Note, before it is done, that operations up to `seq` may be sent."""
    lake.commit(
        lambda connection: _dispatch(connection, plan_id, seq), run_id=run_id, step="dispatch", message=f"up to {seq}"
    )


def _dispatch(connection: Connection, plan_id: str, seq: int) -> None:
    connection.execute("UPDATE plans SET dispatched_seq = ? WHERE plan_id = ?", [seq, plan_id])


def close(lake: Lake, run_id: str, plan_id: str, closed_as: str, now: datetime) -> None:
    """Note that nothing of a plan will be sent any more."""

    def work(connection: Connection) -> None:
        connection.execute("UPDATE plans SET closed_at = ?, closed_as = ? WHERE plan_id = ?", [now, closed_as, plan_id])

    lake.commit(work, run_id=run_id, step="close", message=f"{plan_id} {closed_as}")


def _operation(row: tuple[object, ...]) -> Operation:
    (op_id, plan_id, seq, stage, kind, path, new_path, size, etag, version_id, content_type) = row[:11]
    (internal_id, print_kind, print_value, reason, held, permissions, owner, group) = row[11:]
    fingerprint = None
    if isinstance(print_kind, str) and isinstance(print_value, str) and isinstance(size, int):
        fingerprint = Fingerprint(print_kind, print_value, size)
    desired = Permissions(_text(permissions), _text(owner), _text(group))
    return Operation(
        op_id=str(op_id),
        plan_id=str(plan_id),
        seq=int(str(seq)),
        stage=int(str(stage)),
        kind=OperationKind(str(kind)),
        path=str(path),
        new_path=_text(new_path),
        size=size if isinstance(size, int) else None,
        etag=_text(etag),
        version_id=_text(version_id),
        content_type=_text(content_type),
        internal_id=_text(internal_id),
        fingerprint=fingerprint,
        reason=str(reason or ""),
        held=bool(held),
        permissions=desired if desired.known else None,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
