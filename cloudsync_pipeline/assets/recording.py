"""Records in the fleet's database that a run failed which could not report for itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.engine.results import Mode, Verdict

if TYPE_CHECKING:
    from cloudsync_pipeline.control import Control

_LOOKED_AT = 50
"""Newest results of an integration among which a run is looked for."""


def record_failed(
    database: Control,
    configured: Fleet,
    name: str,
    *,
    run_id: str,
    mode: Mode,
    started_at: datetime,
    finished_at: datetime,
    error: str,
    error_kind: str | None = None,
) -> bool:
    """Record it, unless the run is recorded already or the integration is not known; whether it was recorded.

    The next sync is due after the integration's interval: what failed at once, and were due at once, would be
    tried at every tick.
    """
    from cloudsync_pipeline.control import RunResult

    if name not in {one.name for one in database.list()}:
        return False
    if any(result.run_id == run_id for result in database.results(name, limit=_LOOKED_AT)):
        return False
    config = configured.integrations.get(name)
    database.record_result(
        RunResult(
            run_id=run_id,
            integration=name,
            mode=mode.value,
            verdict=Verdict.FAILED.value,
            started_at=started_at,
            finished_at=finished_at,
            results={"verdict": Verdict.FAILED.value, "error": error, "error_kind": error_kind},
        ),
        next_incremental_at=finished_at + timedelta(seconds=config.sync.interval) if config else None,
    )
    return True
