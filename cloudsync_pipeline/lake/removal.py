"""The plan that empties an integration's part of the file manager, when somebody removes it together with its files."""

from __future__ import annotations

from datetime import datetime

from cloudsync_pipeline.lake import plans, sending
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.plans import Plan

MODE = "removal"

_TO_SEND = """
CREATE OR REPLACE TEMP VIEW to_send AS
SELECT 0 AS stage, 'delete' AS kind, path, NULL AS new_path, size, NULL AS etag, NULL AS version_id,
       NULL AS content_type, internal_id, fingerprint_kind, fingerprint_value, 'the integration is removed' AS reason,
       false AS held, NULL AS permissions, NULL AS owner, NULL AS group_name
FROM files
WHERE op_id IS DISTINCT FROM 'restored'
"""


def plan_removal(lake: Lake, run_id: str, now: datetime) -> Plan | None:
    """Store a plan that deletes every file that the lake knows; None where it knows none.

    No delete of it is held: it is made because a person said so. Files that appeared after the backup from which
    the lake was restored, and that nobody has claimed since, stay.
    """
    plan_id = f"{run_id}-removal"
    base = lake.current_snapshot()

    found = lake.one("SELECT count(*) FROM files WHERE op_id IS DISTINCT FROM 'restored'")
    files = int(found[0]) if found else 0

    def work(connection: Connection) -> None:
        supersede_plans(connection, now)
        connection.execute(_TO_SEND)
        sending.store(connection, plan_id, {0: files})
        connection.execute(
            """
            INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held)
            VALUES ($plan_id, $run_id, $now, $mode, $base, $files, 0)
            """,
            {"plan_id": plan_id, "run_id": run_id, "now": now, "mode": MODE, "base": base, "files": files},
        )

    if not files:
        return None
    lake.commit(work, run_id=run_id, step="plan", message=MODE, unique=("operations",))
    return plans.get(lake, plan_id)
