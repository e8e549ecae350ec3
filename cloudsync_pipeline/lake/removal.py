"""The plan that empties an integration's part of the file manager, when somebody removes it together with its files."""

from __future__ import annotations

from datetime import datetime

from cloudsync_pipeline.lake import plans
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.plans import Plan

MODE = "removal"


def plan_removal(lake: Lake, run_id: str, now: datetime) -> Plan | None:
    """Store a plan that deletes every file that the lake knows; None where it knows none.

    No delete of it is held: it is made because a person said so. Files that appeared after the backup from which
    the lake was restored, and that nobody has claimed since, stay.
    """
    plan_id = f"{run_id}-removal"
    base = lake.current_snapshot()

    def work(connection: Connection) -> None:
        supersede_plans(connection, now)
        connection.execute(
            """
            INSERT INTO operations (op_id, plan_id, seq, stage, kind, path, size, internal_id, fingerprint_kind,
                                    fingerprint_value, reason, held)
            SELECT $plan_id || '-' || seq, $plan_id, seq, 0, 'delete', path, size, internal_id, fingerprint_kind,
                   fingerprint_value, 'the integration is removed', false
            FROM (SELECT *, row_number() OVER (ORDER BY path) - 1 AS seq FROM files
                  WHERE op_id IS DISTINCT FROM 'restored')
            """,
            {"plan_id": plan_id},
        )
        connection.execute(
            """
            INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held)
            SELECT $plan_id, $run_id, $now, $mode, $base, count(*), 0 FROM files
            WHERE op_id IS DISTINCT FROM 'restored'
            """,
            {"plan_id": plan_id, "run_id": run_id, "now": now, "mode": MODE, "base": base},
        )

    if lake.one("SELECT 1 FROM files WHERE op_id IS DISTINCT FROM 'restored' LIMIT 1") is None:
        return None
    lake.commit(work, run_id=run_id, step="plan", message=MODE, unique=("operations",))
    return plans.get(lake, plan_id)
