"""What the routes work with: the configuration, which is read anew when it changes, the control database, the lakes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio

from cloudsync_pipeline import wiring
from cloudsync_pipeline.api.problems import Problem, no_integration
from cloudsync_pipeline.config import Fleet, IntegrationConfig, load_fleet
from cloudsync_pipeline.control import Control, Integration
from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError
from cloudsync_pipeline.lake import Lake

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOKED_AT_EVERY = 2.0
"""Seconds between two looks at the configuration's files."""
READ_EVERY = 60.0
"""Seconds after which it is read anew although no file changed: what it refers to may have."""
LAKES_AT_ONCE = 4
"""Lakes that are read side by side: each may take 512 MB."""


class World:
    """See the module's docstring. For one event loop; what blocks runs in threads.

    Args:
        config: the main configuration file; None for the usual places.

    Raises:
        ConfigError: the configuration cannot be used.
    """

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self._fleet = load_fleet(config)
        self._marks = _marks(self._fleet)
        self._looked_at = self._read_at = time.monotonic()
        self._looking: asyncio.Task[None] | None = None
        self._control: Control | None = None
        self._opening = threading.Lock()
        self._lakes = anyio.CapacityLimiter(LAKES_AT_ONCE)
        self.config_error: ConfigError | None = None
        """Why the configuration as it stands now cannot be used; what was read before it counts meanwhile."""

    @property
    def fleet(self) -> Fleet:
        """What is configured, at most some seconds ago. For the event loop's own thread."""
        if time.monotonic() - self._looked_at > LOOKED_AT_EVERY and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return self._fleet

    @property
    def fleet_as_read(self) -> Fleet:
        """What was read last. For any thread."""
        return self._fleet

    async def _look(self) -> None:
        await asyncio.to_thread(self._read_if_changed)
        self._looked_at = time.monotonic()

    def _read_if_changed(self) -> None:
        marks = _marks(self._fleet)
        if marks == self._marks and time.monotonic() - self._read_at < READ_EVERY:
            return
        try:
            self._fleet = load_fleet(self._config)
        except ConfigError as error:
            if self.config_error is None:
                log.warning("the configuration cannot be used as it stands: %s", error)
            self.config_error = error
        else:
            self.config_error = None
        self._marks, self._read_at = marks, time.monotonic()

    # --- the fleet ------------------------------------------------------------------------------

    async def ask_control(self, question: Callable[[Control], T]) -> T:
        """Ask the control database, in a thread.

        Raises:
            StateError, ConfigError: it cannot be used.
        """
        return await anyio.to_thread.run_sync(lambda: question(self.control()))

    def control(self) -> Control:
        """The control database, opened once. For threads: the first call may take its time."""
        with self._opening:
            if self._control is None:
                self._control = wiring.open_control(self._fleet.settings)
            return self._control

    async def known(self, name: str) -> Integration | None:
        """What is remembered of an integration.

        Returns:
            None for one that is configured and has never been seen.

        Raises:
            Problem: 404, it is neither configured nor remembered.
        """
        fleet = self.fleet
        found = await self.ask_control(lambda control: {one.name: one for one in control.list()}.get(name))
        if found is None and name not in fleet.integrations and name not in fleet.errors:
            try:
                fleet.integration(name)
            except ConfigError as error:
                raise no_integration(name, error.remedy) from None
        return found

    async def configured(self, name: str) -> IntegrationConfig:
        """An integration's configuration.

        Raises:
            Problem: 404, there is none; 409, it cannot be used as it stands.
        """
        fleet = self.fleet
        if name in fleet.integrations:
            return fleet.integrations[name]
        await self.known(name)
        error = fleet.errors.get(name)
        detail = error.message if error else "It is not configured any more."
        remedy = (error.remedy or "Mend its file.") if error else "Add its file to the configuration again."
        raise Problem(409, "configuration", detail, integration=name, remedy=remedy)

    # --- lakes ----------------------------------------------------------------------------------

    async def read_lake(self, name: str, question: Callable[[Lake], T]) -> T:
        """Ask an integration's lake, in a thread; beyond `LAKES_AT_ONCE`, questions wait.

        Raises:
            Problem: 404, there is no such integration, or nothing is stored of it yet.
            CloudSyncError: the lake cannot be used.
        """
        await self.known(name)
        return await anyio.to_thread.run_sync(partial(self._read, name, question), limiter=self._lakes)

    def _read(self, name: str, question: Callable[[Lake], T]) -> T:
        self._require_lake(name)
        try:
            with wiring.open_lake(self._fleet.settings, name, read_only=True) as lake:
                return question(lake)
        except CloudSyncError as error:
            error.integration = error.integration or name
            raise

    async def write_lake(self, name: str, run_id: str, purpose: str, change: Callable[[Lake], T]) -> T:
        """Change an integration's lake as its only writer, in a thread.

        Raises:
            Problem: as `read_lake`.
            LockHeld: another writer holds it.
            CloudSyncError: the lake cannot be used.
        """

        def write() -> T:
            self._require_lake(name)
            with wiring.open_lake(self._fleet.settings, name, run_id=run_id, purpose=purpose) as lake:
                return change(lake)

        await self.known(name)
        return await anyio.to_thread.run_sync(write, limiter=self._lakes)

    def _require_lake(self, name: str) -> None:
        if not wiring.has_lake(self._fleet.settings, name):
            raise Problem(
                404,
                "nothing-stored",
                "Nothing is stored of this integration yet.",
                integration=name,
                remedy="Run its initial sync.",
            )

    def close(self) -> None:
        """Release the control database."""
        with self._opening:
            if self._control is not None:
                self._control.close()
                self._control = None


def _marks(fleet: Fleet) -> object:
    """What changes with the configuration's files."""
    if fleet.file is None:
        return None
    folder = fleet.settings.integrations_folder
    try:
        files = [fleet.file, *sorted(one for one in folder.iterdir() if one.suffix in {".yaml", ".yml"})]
    except OSError:
        files = [fleet.file]
    return [_mark(one) for one in files]


def _mark(file: Path) -> tuple[str, int, int]:
    try:
        there = file.stat()
    except OSError:
        return file.name, 0, 0
    return file.name, there.st_mtime_ns, there.st_size
