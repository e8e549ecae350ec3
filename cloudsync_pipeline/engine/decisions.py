"""What a person decides: held deletes approved or rejected, quarantined paths tried again.

Each takes the integration's lock (an open session, or a lake opened for writing) and changes the lake only; the
next sync acts on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cloudsync_pipeline.core.errors import PlanStale
from cloudsync_pipeline.lake import approvals, owed, plans
from cloudsync_pipeline.lake.lake import Lake


def plan_in_question(lake: Lake, plan_id: str | None) -> str:
    """The plan named, or the newest one that holds deletes.

    Raises:
        PlanStale: there is none.
    """
    if plan_id is not None:
        return plan_id
    newest = plans.newest_holding(lake)
    if newest is None:
        raise PlanStale(
            "No plan holds deletes.", integration=lake.integration, remedy="There is nothing to approve or reject."
        )
    return newest.plan_id


def approve(lake: Lake, *, run_id: str, plan_id: str, by: str, now: datetime) -> int:
    """Approve exactly the deletes that this plan holds; the next plan sends them. Returns how many.

    Raises:
        PlanStale: nothing of the plan waits (any more).
    """
    return approvals.approve(lake, run_id, plan_id, by=by, now=now)


def reject(lake: Lake, *, run_id: str, plan_id: str, by: str, now: datetime) -> int:
    """Reject the deletes that this plan holds: the files stay, and are shown as quarantined. Returns how many.

    Raises:
        PlanStale: nothing of the plan waits (any more).
    """
    return approvals.reject(lake, run_id, plan_id, by=by, now=now)


def retry(lake: Lake, *, run_id: str, paths: Sequence[str] | None = None) -> int:
    """Make quarantined paths, or those named, due at the next sync, their failures forgotten. Returns how many."""
    return owed.clear_quarantine(lake, run_id, paths)
