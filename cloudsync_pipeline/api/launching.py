"""Runs put into Dagster's queue from requests: one thread holds the workspace open between them.

Loading the workspace takes seconds where no code server runs; the next request shall not wait for it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from cloudsync_pipeline import launch
from cloudsync_pipeline.api.problems import Problem
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.launch.starting import Start

log = logging.getLogger(__name__)

KEPT = 300.0
"""Seconds for which a loaded workspace is used; then it is loaded anew, so that new code counts."""

JOBS = {"initial": "initial_sync", "incremental": "incremental_sync", "reconcile": "reconcile"}


class Launching:
    """See the module's docstring."""

    def __init__(self, kept: float = KEPT) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="launching")
        self._kept = kept
        self._start: Start | None = None
        self._held = ExitStack()
        self._loaded_at = 0.0
        self._end: asyncio.TimerHandle | None = None

    async def launch(self, job: str, integration: str, tags: Mapping[str, str]) -> tuple[str, bool]:
        """Put a run into the queue, unless one of the same job waits there already.

        Returns:
            The run's id, and whether it is new.

        Raises:
            Problem: 503, nothing is configured that would run it.
            CloudSyncError: it cannot be launched; with a remedy.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._launch, job, integration, tags)
        finally:
            if self._end is not None:
                self._end.cancel()
            self._end = loop.call_later(self._kept, self._thread.submit, self._let_go)

    async def close(self) -> None:
        """Let go of the workspace."""
        if self._end is not None:
            self._end.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown(wait=False)

    def _launch(self, job: str, integration: str, tags: Mapping[str, str]) -> tuple[str, bool]:
        require_dagster()
        active = launch.active_runs(integration)
        waiting = next((one for one in active if one.job == job and one.whole and one.status == "QUEUED"), None)
        if waiting is not None:
            return waiting.run_id, False
        start, fresh = self._workspace()
        try:
            return start(job, integration, {}, tags), True
        except CloudSyncError:
            raise
        except Exception:
            # Dagster raises many kinds where the code server it talked to is gone; a new one gets one more try.
            self._let_go()
            if fresh:
                raise
            log.info("the workspace is loaded anew: the one at hand does not answer", exc_info=True)
            start, _ = self._workspace()
            return start(job, integration, {}, tags), True

    def _workspace(self) -> tuple[Start, bool]:
        if self._start is not None and time.monotonic() - self._loaded_at < self._kept:
            return self._start, False
        self._let_go()
        start = self._held.enter_context(launch.launcher())
        self._start, self._loaded_at = start, time.monotonic()
        return start, True

    def _let_go(self) -> None:
        self._start = None
        self._held.close()


def require_dagster() -> None:
    """Make sure that a launched run would be started.

    Raises:
        Problem: 503, no instance is configured, or no daemon works for it.
    """
    if not launch.instance_configured():
        raise Problem(
            503,
            "no-dagster",
            "No Dagster instance is configured, so that nothing would run this.",
            remedy="Set DAGSTER_HOME of the API's process to a folder with a dagster.yaml.",
        )
    if not launch.daemon_alive():
        raise Problem(
            503,
            "no-daemon",
            "No Dagster daemon works on the run queue, so that nothing would start.",
            remedy="Start one: `dagster-daemon run`.",
            headers={"Retry-After": "30"},
        )
