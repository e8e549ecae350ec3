"""A run's result as its steps stored it, for runs that another process did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.cli import render
from cloudsync_pipeline.core.errors import StateError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Settings

_STEPS = {
    "listing": "bucket_listing",
    "events": "change_events",
    "snapshot": "state_snapshot",
    "plan": "state_diff",
    "execution": "executed_operations",
}
"""The fields of `engine.results.SyncResult`, and the steps that stored them."""


def result(settings: Settings, integration: str, run_id: str) -> dict[str, Any] | None:
    """The result of a run that ended, as JSON can hold it; None where it did not come so far.

    Fields as in `engine.results.SyncResult`.
    """
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.lake import runs

    try:
        with wiring.open_lake(settings, integration, read_only=True) as lake:
            run, steps = runs.get(lake, run_id), runs.steps(lake, run_id)
    except StateError:
        # There is no lake before an integration's first run got that far.
        return None
    if run is None or run.finished_at is None or run.verdict is None:
        return None
    document: dict[str, Any] = {
        "integration": integration,
        "run_id": run_id,
        "mode": run.mode,
        "verdict": run.verdict,
        "started_at": run.started_at,
        "seconds": (run.finished_at - run.started_at).total_seconds(),
        **{field: steps.get(step) for field, step in _STEPS.items()},
        "error": run.error,
    }
    filled: dict[str, Any] = render.as_json(document)
    return filled
