"""Tells the run's log how far an execution is, often enough to watch and seldom enough to store."""

from __future__ import annotations

import logging

from cloudsync_pipeline.assets import lines
from cloudsync_pipeline.engine.results import Progress

INTERVAL = 10.0
"""Seconds between two lines at first; a line comes sooner when `STEP` is passed."""
STEP = 0.05
"""Part of the work (0 to 1) after which a line is due."""
_SLOWING = 0.02
"""An execution of hours is watched less closely: the interval is at least this part of the time so far."""
_SHORTEST = 1.0


class ProgressLog:
    """Give it as a session's `on_progress`; a plan that is done at once is not worth a line.

    Args:
        log: a run's log.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last_seconds = 0.0
        self._last_share = 0.0

    def __call__(self, progress: Progress) -> None:
        since = progress.seconds - self._last_seconds
        share = lines.share(progress)
        interval = max(INTERVAL, progress.seconds * _SLOWING)
        if since < _SHORTEST or (since < interval and share - self._last_share < STEP):
            return
        self._last_seconds, self._last_share = progress.seconds, share
        self._log.info(lines.progress(progress))
