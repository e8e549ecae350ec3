"""Makes runs of requests: each is put into Dagster's queue, joins a run that waits there, or is refused for good."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudsync_pipeline import launch, wiring
from cloudsync_pipeline.core.errors import ConfigError, Paused
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.queue.requests import Refused, SyncRequest

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet, IntegrationConfig

REQUEST_TAG = "cloudsync/request"
"""On runs that a message asked for: the message's id, so that its second delivery starts no second run."""

CONFIGURATION_LASTS = 5.0
"""Seconds for which the configuration is not read again."""

LAUNCHER_LASTS = 60.0
"""Seconds after which the code location is loaded anew; it may have been deployed again."""

_JOBS = {Mode.INITIAL: "initial_sync", Mode.INCREMENTAL: "incremental_sync", Mode.RECONCILE: "reconcile"}
_SCANS = frozenset({Mode.INITIAL.value, Mode.RECONCILE.value})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A run that does what was asked.

    Attributes:
        new: False where the run waited in the queue already.
    """

    run_id: str
    new: bool


class Launching:
    """Accepts requests by launching runs in the configured Dagster instance. Used by one thread.

    Args:
        fleet: reads the configuration.
    """

    def __init__(self, fleet: Callable[[], Fleet]) -> None:
        self._read = fleet
        self._fleet: tuple[float, Fleet] | None = None
        self._open = ExitStack()
        self._start: launch.Start | None = None
        self._started = 0.0

    def accept(self, request: SyncRequest, message_id: str | None = None) -> Accepted:
        """A run for a request: it is stored in Dagster when this returns.

        A run that is *waiting* in Dagster's queue will look at everything that changed up to now: the request joins it.
        One that has *begun* may have looked already: another is queued behind it. So there is at most one of each
        kind waiting, and nothing asked for is lost.

        Args:
            message_id: the sender's, if it gave one; a message that comes again gets the run that it got before.

        Raises:
            Refused: it cannot be granted: no such integration, paused, removed, or not usable as configured.
            CloudSyncError: something is out of order here; the same request may be granted later.
        """
        config = self._integration(request.integration)
        mode = request.mode
        if mode is Mode.INCREMENTAL and config.feed is None:
            # Without a feed only a scan finds out what changed.
            mode = Mode.RECONCILE
        runs = launch.active_runs(request.integration)
        known = launch.run_tagged(REQUEST_TAG, message_id) if message_id else None
        if known is None and (waiting := waiting_for(mode, runs)):
            known = waiting.run_id
        if known is not None:
            return Accepted(known, new=False)
        tags = launch.run_tags(config) | ({REQUEST_TAG: message_id} if message_id else {})
        return Accepted(self._launcher()(_JOBS[mode], request.integration, {}, tags), new=True)

    def rest(self) -> None:
        """Let go of the code location: nothing was asked for a while, or something went wrong with it."""
        self._start = None
        self._open.close()

    def _integration(self, name: str) -> IntegrationConfig:
        fleet = self._current(CONFIGURATION_LASTS)
        if name not in fleet.integrations:
            # Its file may have come a moment ago.
            fleet = self._current(0)
        try:
            config = fleet.integration(name)
        except ConfigError as error:
            raise Refused(error.message, integration=name, remedy=error.remedy) from error
        with wiring.open_control(fleet.settings) as control:
            control.ensure(name)
            try:
                control.require_active(name)
            except Paused as error:
                raise Refused(error.message, integration=name, remedy=error.remedy) from error
        return config

    def _current(self, lasts: float) -> Fleet:
        now = time.monotonic()
        if self._fleet is None or now - self._fleet[0] >= lasts:
            self._fleet = (now, self._read())
        return self._fleet[1]

    def _launcher(self) -> launch.Start:
        now = time.monotonic()
        if self._start is None or now - self._started >= LAUNCHER_LASTS:
            self.rest()
            self._start = self._open.enter_context(launch.launcher())
            self._started = now
        return self._start


def waiting_for(mode: Mode, runs: Iterable[launch.ActiveRun]) -> launch.ActiveRun | None:
    """A run that has not begun and will do all that a sync of this mode does."""
    # A scan does not read the feed, so it does not stand for an incremental sync; one scan is like another.
    kinds = _SCANS if mode.value in _SCANS else {mode.value}
    return next((run for run in runs if run.status == "QUEUED" and run.whole and run.kind in kinds), None)
