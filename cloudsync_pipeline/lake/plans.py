"""Plans as stored: read back, operation by operation, and closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import Operation, OperationKind, Permissions
from cloudsync_pipeline.lake.lake import Connection, Lake


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


def get(lake: Lake, plan_id: str) -> Plan | None:
    """One plan, or None."""
    row = lake.one(_PLAN + "WHERE plan_id = ?", [plan_id])
    return None if row is None else Plan(*row)


def interrupted(lake: Lake) -> list[Plan]:
    """Plans that began to be sent and never ended: their operations may have happened without an outcome."""
    rows = lake.read(
        _PLAN + "WHERE dispatched_seq IS NOT NULL AND (closed_as IS NULL OR closed_as = 'superseded') ORDER BY made_at"
    )
    return [Plan(*row) for row in rows]


_OPERATION = """
SELECT o.op_id, o.plan_id, o.seq, o.stage, o.kind, o.path, o.new_path, o.size, o.etag, o.version_id, o.content_type,
       o.internal_id, o.fingerprint_kind, o.fingerprint_value, o.reason, o.held, o.permissions, o.owner, o.group_name
FROM operations o
"""


def stages(lake: Lake, plan_id: str) -> list[int]:
    """The stages of a plan in which something is to be sent, in order."""
    return [
        row[0]
        for row in lake.read(
            "SELECT DISTINCT stage FROM operations WHERE plan_id = ? AND NOT held ORDER BY stage", [plan_id]
        )
    ]


def operations(lake: Lake, plan_id: str, *, stage: int, after: int = -1, limit: int = 2000) -> list[Operation]:
    """Operations of one stage in order of sending, without the held ones, from behind `after` on.

    Those for the permissions of a file that did not come to stand in an earlier stage are left out: they
    stay owed.
    """
    rows = lake.read(
        _OPERATION
        + """
        WHERE o.plan_id = ? AND o.stage = ? AND o.seq > ? AND NOT o.held
          AND (o.kind NOT IN ('set_permissions', 'read_permissions') OR o.path IN (SELECT path FROM files))
        ORDER BY o.seq LIMIT ?
        """,
        [plan_id, stage, after, limit],
    )
    return [_operation(row) for row in rows]


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
