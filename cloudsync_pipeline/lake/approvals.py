"""What a person says of deletes that the guard holds.

An approval binds the files it was given for (path, internal id, fingerprint): a file that is another by now, or
that was not in the plan, needs a new one. It is used up by the delete, and gone when its path is owed no more.
A rejection puts the debts into quarantine without a next try, until somebody asks for them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudsync_pipeline.core.errors import PlanStale
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake

REJECTED = "The delete was rejected by a person; the file stays until `cloudsync retry` asks for it again."

_BOUND = """
    o.path = {0}.path
    AND o.internal_id IS NOT DISTINCT FROM {0}.internal_id
    AND o.fingerprint_kind IS NOT DISTINCT FROM {0}.fingerprint_kind
    AND o.fingerprint_value IS NOT DISTINCT FROM {0}.fingerprint_value
"""
_STILL_HELD = f"""
    FROM operations o
    JOIN files f ON {_BOUND.format("f")}
    SEMI JOIN owed w ON w.path = o.path AND w.aspect = 'content' AND w.quarantined_at IS NULL
    ANTI JOIN approvals a ON {_BOUND.format("a")}
    WHERE o.plan_id = ? AND o.held
"""


@dataclass(frozen=True, slots=True)
class HeldDelete:
    """A delete that waits for somebody's word; `size` in bytes."""

    path: str
    size: int | None
    internal_id: str | None
    reason: str


def held(lake: Lake, plan_id: str, *, limit: int, after: str | None = None) -> list[HeldDelete]:
    """Held deletes of a plan that still wait, by path, from behind `after` on."""
    rows = lake.read(
        f"SELECT o.path, o.size, o.internal_id, o.reason {_STILL_HELD} AND (? IS NULL OR o.path > ?) "
        "ORDER BY o.path LIMIT ?",
        [plan_id, after, after, limit],
    )
    return [HeldDelete(*row) for row in rows]


def count_held(lake: Lake, plan_id: str) -> int:
    """How many held deletes of a plan still wait."""
    return int(lake.scalar(f"SELECT count(*) {_STILL_HELD}", [plan_id]) or 0)


def approve(lake: Lake, run_id: str, plan_id: str, *, by: str, now: datetime) -> int:
    """Approve the deletes that a plan holds; the next plan sends them. Returns how many.

    Raises:
        PlanStale: the plan is unknown, or nothing of it waits any more.
    """

    def work(connection: Connection) -> int:
        connection.execute(
            "INSERT INTO approvals (path, internal_id, fingerprint_kind, fingerprint_value, plan_id, approved_by, "
            "approved_at) SELECT o.path, o.internal_id, o.fingerprint_kind, o.fingerprint_value, o.plan_id, ?, ? "
            + _STILL_HELD,
            [by, now, plan_id],
        )
        supersede_plans(connection, now)
        return _count(connection, "SELECT count(*) FROM approvals WHERE plan_id = ? AND approved_at = ?", plan_id, now)

    _require_waiting(lake, plan_id)
    return lake.commit(work, run_id=run_id, step="approve", message=f"{plan_id} by {by}", unique=("approvals",))


def reject(lake: Lake, run_id: str, plan_id: str, *, by: str, now: datetime) -> int:
    """Reject the deletes that a plan holds: their files stay, visibly owed. Returns how many.

    Raises:
        PlanStale: the plan is unknown, or nothing of it waits any more.
    """

    def work(connection: Connection) -> int:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE rejected AS SELECT o.path {_STILL_HELD}", [plan_id])
        connection.execute(
            """
            UPDATE owed
            SET quarantined_at = ?, next_try = 'infinity'::TIMESTAMPTZ, last_error = ?, last_error_kind = 'Rejected'
            WHERE aspect = 'content' AND path IN (SELECT path FROM rejected)
            """,
            [now, REJECTED],
        )
        return _count(connection, "SELECT count(*) FROM rejected")

    _require_waiting(lake, plan_id)
    return lake.commit(work, run_id=run_id, step="reject", message=f"{plan_id} by {by}")


def _require_waiting(lake: Lake, plan_id: str) -> None:
    if count_held(lake, plan_id) == 0:
        raise PlanStale(
            f"No delete of the plan {plan_id} waits for approval (any more).",
            integration=lake.integration,
            remedy="`cloudsync plan show` names the plan that does; what was approved is sent by the next sync.",
        )


def stop_unapproved(connection: Connection, *, held: bool) -> None:
    """Within planning: `stopped(path)`, the deletes of `due` that the guard holds and nobody approved."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE stopped AS
        SELECT path FROM (
            SELECT path, internal_id, file_kind AS fingerprint_kind, file_value AS fingerprint_value
            FROM due WHERE kind = 'delete' AND ?
        ) o
        ANTI JOIN approvals a ON {_BOUND.format("a")}
        """,
        [held],
    )


def forget_paid(connection: Connection) -> None:
    """Within planning: approvals whose path is owed no more are gone."""
    if connection.execute("SELECT 1 FROM approvals LIMIT 1").fetchone():
        connection.execute("DELETE FROM approvals WHERE path NOT IN (SELECT path FROM owed WHERE aspect = 'content')")


def _count(connection: Connection, query: str, *params: object) -> int:
    row = connection.execute(query, list(params)).fetchone()
    return int(row[0]) if row else 0
