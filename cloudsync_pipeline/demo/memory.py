"""What the project itself remembers of the demonstration's runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudsync_pipeline.core.errors import StateError


@dataclass(frozen=True, slots=True)
class Remembered:
    """A run's result as the integration's lake keeps it.

    Attributes:
        done: operations by kind.
        bytes: content sent.
        seconds: of the sync itself.
    """

    verdict: str
    done: Mapping[str, int]
    bytes: int
    seconds: float


def remembered(config: Path, integration: str, run_id: str | None) -> Remembered | None:
    """One run's result, or None where none was recorded."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.config import load_fleet
    from cloudsync_pipeline.lake import runs

    if run_id is None:
        return None
    try:
        with wiring.open_lake(load_fleet(config).settings, integration, read_only=True) as lake:
            run, steps = runs.get(lake, run_id), runs.steps(lake, run_id)
    except StateError:
        # A first run that broke off early has left no lake.
        return None
    if run is None or run.finished_at is None or run.verdict is None:
        return None
    execution = steps.get("executed_operations", {})
    seconds = (run.finished_at - run.started_at).total_seconds()
    return Remembered(run.verdict, execution.get("done", {}), int(execution.get("bytes", 0)), seconds)


def quarantined(config: Path, integration: str) -> dict[str, str]:
    """Paths in quarantine, with the reason."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.config import load_fleet
    from cloudsync_pipeline.core.keys import unescape
    from cloudsync_pipeline.lake import pages

    with wiring.open_lake(load_fleet(config).settings, integration, read_only=True) as lake:
        return {unescape(one.path): str(one.error) for one in pages.quarantine(lake, limit=10_000)}
