"""Everything one sync of one integration works with, opened and ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudsync_pipeline.control import Control
from cloudsync_pipeline.core.rules import Policy
from cloudsync_pipeline.engine.results import Progress
from cloudsync_pipeline.feeds.base import EventFeed
from cloudsync_pipeline.file_managers.base import FileManager
from cloudsync_pipeline.lake import Lake, runs
from cloudsync_pipeline.lake.runs import Step
from cloudsync_pipeline.storage.base import Storage


def utc_now() -> datetime:
    """The clock of who brings none."""
    return datetime.now(UTC)


def no_progress(progress: Progress) -> None:
    """The progress callback of who does not want any."""


@dataclass(slots=True)
class Session:
    """One integration, opened for writing by one holder of its lock.

    Attributes:
        integration: its name.
        identity: both ends, without secrets; compared with what the lake remembers.
        feed: None where the integration is scanned at its interval instead.
        control: told of results; None when used as a library without a fleet.
        config_fingerprint: of the configuration it was opened with; None when used as a library without a fleet.
        interval: from one incremental sync to the next.
        reconcile_interval: from one full scan to the next.
        clock: the time now, UTC.
        on_progress: called about once a second while a plan executes, from the event loop.
        steps: what the steps of a run returned that is stored with its end; None stores each when it ends, for
            steps that are runs of their own.
    """

    integration: str
    identity: Mapping[str, str]
    storage: Storage
    file_manager: FileManager
    lake: Lake
    feed: EventFeed | None = None
    control: Control | None = None
    config_fingerprint: str | None = None
    interval: timedelta = timedelta(minutes=5)
    reconcile_interval: timedelta = timedelta(days=1)
    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], datetime] = utc_now
    on_progress: Callable[[Progress], None] = no_progress
    steps: list[Step] | None = None

    def note_step(self, run_id: str, step: str, result: Mapping[str, Any]) -> None:
        """Keep what a step returned."""
        if self.steps is None:
            runs.record_step(self.lake, run_id, step, result, self.clock())
        else:
            self.steps.append(Step(step, result, self.clock()))
