"""The daemon's loop: looks at what is due, starts it, and lets nothing end it but a signal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline import launch, logs
from cloudsync_pipeline.cli.syncing import directly
from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.control import Control
    from cloudsync_pipeline.control.records import Integration
    from cloudsync_pipeline.engine.results import Mode

log = logging.getLogger(__name__)

ALERTS_EVERY = timedelta(minutes=1)
"""From one look for news to tell people of to the next."""

ALERTS_WITHIN = 15.0
"""Seconds that telling may take: a daemon that is told to stop waits for it."""

BACKUPS_EVERY = timedelta(minutes=5)
"""From one look for backups that are due to the next."""

MAINTENANCE_EVERY = timedelta(days=1)
"""From one maintenance of an integration's state to the next."""

FIRST_MAINTENANCE_AFTER = timedelta(hours=1)
"""From the daemon's start to the first: one that is restarted every day maintains, too."""


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
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.control.locks import writer_lock

    refuse_beside_dagster()
    first = fleet()
    folder = first.settings.state_folder / "daemon"
    with (
        wiring.open_control(first.settings) as control,
        writer_lock(folder, integration="the daemon", run_id="daemon", purpose="daemon", leases=control.leases),
    ):
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
        self._next_maintenance: dict[str, datetime] = {}
        self._alerted: datetime | None = None
        self._telling: asyncio.Task[None] | None = None
        self._backups_looked_at: datetime | None = None
        self._to_back_up: set[str] = set()

    async def look(self) -> None:
        """Start what is due and not running."""
        try:
            fleet = self._fleet()
            due = await self._due(fleet, datetime.now(UTC))
        except CloudSyncError as error:
            # A broken main file, or a control database that is away: both come back without us.
            self._tell("", f"nothing can be started: {error}")
            return
        self._told.pop("", None)
        self._tell_people(fleet, datetime.now(UTC))
        for name, broken in fleet.errors.items():
            self._tell(name, f"left out until its configuration is corrected: {broken}")
        self._to_back_up.update(await self._without_backup(fleet, datetime.now(UTC)))
        # In place of a sync, so that neither finds the other's lock; and before the next one, which may always be due.
        for name in sorted(self._to_back_up - self._running.keys()):
            self._to_back_up.remove(name)
            self._start(name, self._back_up(fleet, name))
        for name, mode in due:
            if name not in self._running:
                self._start(name, self._one(fleet, name, mode))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._running[name] = task
        task.add_done_callback(self._ended)

    async def _without_backup(self, fleet: Fleet, now: datetime) -> list[str]:
        """Integrations whose backup is due, also those that nothing was synced of; looked for now and then."""
        enabled = fleet.settings.database.backup_enabled
        if not enabled or (self._backups_looked_at is not None and now - self._backups_looked_at < BACKUPS_EVERY):
            return []
        self._backups_looked_at = now
        return await asyncio.to_thread(backups_due, fleet, now)

    async def _back_up(self, fleet: Fleet, name: str) -> None:
        async with self._places:
            logs.mark(integration=name)
            await asyncio.to_thread(back_up, fleet, name)

    def _tell_people(self, fleet: Fleet, now: datetime) -> None:
        if fleet.settings.alerts is None or (self._telling is not None and not self._telling.done()):
            return
        if self._alerted is None or now - self._alerted >= ALERTS_EVERY:
            self._alerted = now
            self._telling = asyncio.create_task(asyncio.to_thread(alert, fleet, now))

    async def stop(self) -> None:
        """Cancel what runs, and wait until it has cleaned up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _due(self, fleet: Fleet, now: datetime) -> list[tuple[str, Mode]]:
        from cloudsync_pipeline import wiring
        from cloudsync_pipeline.engine.results import Mode

        with wiring.open_control(fleet.settings) as control:
            for name in fleet.integrations:
                control.ensure(name)
            wanted = [(one, mode) for one, mode in _wanted(fleet, control, now) if self._may(one.name, now)]
            by_events = [one for one, mode in wanted if mode is Mode.INCREMENTAL]
            resting = await wiring.note_resting(fleet, control, by_events, now)
        return [(one.name, mode) for one, mode in wanted if one.name not in resting]

    def _may(self, name: str, now: datetime) -> bool:
        return name not in self._running and self._not_before.get(name, now) <= now

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task.get_name(), None)
        # Its end may be news.
        self._alerted = None
        if not task.cancelled() and (error := task.exception()) is not None:
            about = {"integration": task.get_name()}
            log.error("%s: it could not be synced", task.get_name(), exc_info=error, extra=about)

    async def _one(self, fleet: Fleet, name: str, mode: Mode) -> None:
        async with self._places:
            # Of this task alone, so that nobody has to take it back.
            logs.mark(integration=name)
            # Whatever becomes of it: what breaks off before it can record a result is not tried at every tick.
            self._not_before[name] = datetime.now(UTC) + timedelta(seconds=fleet.integrations[name].sync.interval)
            (ended,) = await directly(fleet, [name], mode, skip_paused=True)
            verdict = (ended.result or {}).get("verdict", "not run" if ended.skipped else "failed")
            log.info("%s: %s sync %s", name, mode.value, verdict, extra={"run_id": ended.run_id})
            now = datetime.now(UTC)
            if now >= self._next_maintenance.get(name, self._started + FIRST_MAINTENANCE_AFTER):
                self._next_maintenance[name] = now + MAINTENANCE_EVERY
                await asyncio.to_thread(maintain_one, fleet, name)

    def _tell(self, about: str, text: str) -> None:
        """Say a thing once, not at every tick."""
        if self._told.get(about) != text:
            self._told[about] = text
            log.error("%s%s", f"{about}: " if about else "", text, extra={"integration": about or None})


def alert(fleet: Fleet, now: datetime) -> None:
    """Tell people what is news; what cannot be told now is told at the next look."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.alerts import tell

    try:
        outcomes = tell(fleet, lambda: wiring.open_control(fleet.settings), now, within=ALERTS_WITHIN)
    except CloudSyncError as error:
        log.warning("nobody can be told of what is wrong: %s", error)
        return
    for one in outcomes:
        if one.told:
            log.info("%s: told of %s", one.channel, ", ".join(one.told))


def maintain_one(fleet: Fleet, name: str) -> None:
    """Compact an integration's state and let what is past its retention go; an error is told and tried again later."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.lake.maintenance import maintain

    run_id = new_run_id()
    try:
        with wiring.open_lake(fleet.settings, name, run_id=run_id, purpose="maintenance", leaves_debts=True) as lake:
            maintain(lake, datetime.now(UTC), run_id=run_id, retention=wiring.retention(fleet.settings))
    except CloudSyncError as error:
        log.warning("%s: maintenance broke off: %s", name, error)
    else:
        log.info("%s: maintenance done", name)


def backups_due(fleet: Fleet, now: datetime) -> list[str]:
    """Integrations whose backup is due. That of the control database is made here where it is."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.backup import lakes, scheduled

    settings = fleet.settings
    try:
        scheduled.databases_if_due(settings, None)
        return [
            name
            for name in fleet.integrations
            if scheduled.wanted(settings, lakes.part(name), now) and wiring.has_lake(settings, name)
        ]
    except CloudSyncError as error:
        log.warning("backups broke off: %s", error)
        return []


def back_up(fleet: Fleet, name: str) -> None:
    """Back an integration's state up; an error is told, and tried again at the next look."""
    from cloudsync_pipeline.backup import scheduled
    from cloudsync_pipeline.cli.syncing import new_run_id

    try:
        scheduled.lake_if_due(fleet.settings, name, run_id=new_run_id())
    except CloudSyncError as error:
        log.warning("%s: its backup broke off: %s", name, error)
    else:
        log.info("%s: backed up", name)


def _wanted(fleet: Fleet, control: Control, now: datetime) -> Iterable[tuple[Integration, Mode]]:
    """What is due, the first mode that an integration stands with counts: a scan brings over what events name."""
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
                yield one, mode


def _starts(fleet: Fleet, one: Integration) -> bool:
    return one.name in fleet.integrations and fleet.integrations[one.name].sync.initial_sync_on_startup
