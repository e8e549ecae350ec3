"""The daemon's loop: looks at what is due, starts it, and lets nothing end it but a signal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cloudsync_pipeline import launch
from cloudsync_pipeline.cli.syncing import directly
from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.control import Control
    from cloudsync_pipeline.control.records import Integration
    from cloudsync_pipeline.engine.results import Mode

log = logging.getLogger(__name__)

MAINTENANCE_EVERY = timedelta(days=1)
"""From one maintenance of an integration's state to the next; the first is so long after the daemon's start."""


async def run(fleet: Callable[[], Fleet], *, side_by_side: int, tick: float) -> None:
    """Work until cancelled.

    Args:
        fleet: reads the configuration; called at each tick, so that a file added is an integration added.
        side_by_side: integrations at once.
        tick: seconds between two looks.

    Raises:
        ConfigError: the configuration cannot be used at the start, or Dagster does this work already.
        LockHeld: another daemon does.
    """
    from cloudsync_pipeline.control.locks import writer_lock

    refuse_beside_dagster()
    first = fleet()
    folder = first.settings.state_folder / "daemon"
    with writer_lock(folder, integration="the daemon", run_id="daemon", purpose="daemon"):
        log.info("the daemon works on %d integrations, up to %d at once", len(first.integrations), side_by_side)
        loop = _Loop(fleet, side_by_side)
        try:
            while True:
                await loop.look()
                await asyncio.sleep(tick)
        finally:
            await loop.stop()
            log.info("the daemon has stopped")


def refuse_beside_dagster() -> None:
    """Two who start syncs would only meet each other's locks.

    Raises:
        ConfigError: Dagster's schedules are active in the configured instance.
    """
    if not launch.instance_configured():
        return
    active = launch.schedules_active()
    if active:
        raise ConfigError(
            f"Dagster's schedules are active in this instance ({', '.join(active)}), and do the daemon's work.",
            remedy="Let Dagster do it, or stop its daemon, or unset DAGSTER_HOME.",
        )


class _Loop:
    def __init__(self, fleet: Callable[[], Fleet], side_by_side: int) -> None:
        self._fleet = fleet
        self._places = asyncio.Semaphore(side_by_side)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, datetime] = {}
        self._told: dict[str, str] = {}
        self._started = datetime.now(UTC)
        self._maintained: dict[str, datetime] = {}

    async def look(self) -> None:
        """Start what is due and not running."""
        try:
            fleet = self._fleet()
            due = self._due(fleet, datetime.now(UTC))
        except CloudSyncError as error:
            # A broken main file, or a control database that is away: both come back without us.
            self._tell("", f"nothing can be started: {error}")
            return
        self._told.pop("", None)
        for name, broken in fleet.errors.items():
            self._tell(name, f"left out until its configuration is corrected: {broken}")
        for name, mode in due:
            if name not in self._running:
                task = asyncio.create_task(self._one(fleet, name, mode), name=name)
                self._running[name] = task
                task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel what runs, and wait until it has cleaned up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self, fleet: Fleet, now: datetime) -> list[tuple[str, Mode]]:
        from cloudsync_pipeline import wiring

        with wiring.open_control(fleet.settings) as control:
            for name in fleet.integrations:
                control.ensure(name)
            return [(name, mode) for name, mode in _wanted(fleet, control, now) if self._may(name, now)]

    def _may(self, name: str, now: datetime) -> bool:
        return name not in self._running and self._not_before.get(name, now) <= now

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task.get_name(), None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: it could not be synced", task.get_name(), exc_info=error)

    async def _one(self, fleet: Fleet, name: str, mode: Mode) -> None:
        async with self._places:
            # Whatever becomes of it: what breaks off before it can record a result is not tried at every tick.
            self._not_before[name] = datetime.now(UTC) + timedelta(seconds=fleet.integrations[name].sync.interval)
            (ended,) = await directly(fleet, [name], mode, skip_paused=True)
            verdict = (ended.result or {}).get("verdict", "not run" if ended.skipped else "failed")
            log.info("%s: %s sync %s", name, mode.value, verdict)
            now = datetime.now(UTC)
            if now - self._maintained.get(name, self._started) >= MAINTENANCE_EVERY:
                self._maintained[name] = now
                await asyncio.to_thread(maintain_one, fleet, name)

    def _tell(self, about: str, text: str) -> None:
        """Say a thing once, not at every tick."""
        if self._told.get(about) != text:
            self._told[about] = text
            log.error("%s%s", f"{about}: " if about else "", text)


def maintain_one(fleet: Fleet, name: str) -> None:
    """Compact an integration's state and let what is past its retention go; an error is told and tried again later."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.lake.maintenance import maintain

    run_id = new_run_id()
    try:
        with wiring.open_lake(fleet.settings, name, run_id=run_id, purpose="maintenance") as lake:
            maintain(lake, datetime.now(UTC), run_id=run_id)
    except CloudSyncError as error:
        log.warning("%s: maintenance broke off: %s", name, error)
    else:
        log.info("%s: maintenance done", name)


def _wanted(fleet: Fleet, control: Control, now: datetime) -> Iterable[tuple[str, Mode]]:
    """What is due, the first mode that an integration is named with counts: a scan brings over what events name."""
    from cloudsync_pipeline.engine.results import Mode

    initial = (one for one in control.due(now, "initial") if _starts(fleet, one))
    seen: set[str] = set()
    for mode, due in (
        (Mode.INITIAL, initial),
        (Mode.RECONCILE, control.due(now, "reconcile")),
        (Mode.INCREMENTAL, control.due(now, "incremental")),
    ):
        for one in due:
            if one.name in fleet.integrations and one.name not in seen:
                seen.add(one.name)
                yield one.name, mode


def _starts(fleet: Fleet, one: Integration) -> bool:
    return one.name in fleet.integrations and fleet.integrations[one.name].sync.initial_sync_on_startup
