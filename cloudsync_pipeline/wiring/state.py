"""What is remembered, opened: the control database, a lake, and all that one sync works with."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.wiring.ends import identity, open_feed, open_file_manager, open_storage

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet, Settings
    from cloudsync_pipeline.control import Control, Holder, WriterLock
    from cloudsync_pipeline.engine.results import Progress
    from cloudsync_pipeline.engine.session import Session
    from cloudsync_pipeline.lake import Lake

log = logging.getLogger(__name__)


def open_control(settings: Settings) -> Control:
    """The control database of the fleet; close it, or enter it.

    Raises:
        ConfigError: its URL cannot be used.
        StateError: it cannot be reached.
    """
    from cloudsync_pipeline.control import Control

    return Control.open(settings.control_url())


@overload
def open_lake(settings: Settings, name: str, *, read_only: Literal[True]) -> AbstractContextManager[Lake]: ...
@overload
def open_lake(settings: Settings, name: str, *, run_id: str, purpose: str) -> AbstractContextManager[Lake]: ...
@contextmanager
def open_lake(
    settings: Settings, name: str, *, read_only: bool = False, run_id: str = "", purpose: str = ""
) -> Iterator[Lake]:
    """An integration's lake, closed at the end: for reading, beside any writer, or as its only writer.

    Args:
        settings: where state is.
        name: the integration's.
        read_only: needs no lock.
        run_id, purpose: of the writer, for whoever wants to write meanwhile.

    Raises:
        LockHeld: another writer holds the integration.
        StateError: there is no lake yet to read, or it cannot be opened.
    """
    from cloudsync_pipeline.lake import Lake

    folder = settings.integration_folder(name)
    if read_only:
        with Lake.open(folder, integration=name, read_only=True) as lake:
            yield lake
        return
    with (
        open_control(settings) as control,
        _only_writer(folder, name, control, run_id=run_id, purpose=purpose) as lock,
        Lake.open(folder, integration=name, fence=lambda _: lock.check()) as lake,
    ):
        yield lake


@asynccontextmanager
async def open_session(
    fleet: Fleet,
    name: str,
    *,
    run_id: str,
    purpose: str,
    even_if_paused: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncIterator[Session]:
    """Everything one sync of one integration works with: locked, opened, connected, and closed in reverse at the end.

    Args:
        fleet: what is configured.
        name: the integration's.
        run_id: names the run in lake, control database and Dagster.
        purpose: in words ("incremental sync"), for whoever wants to write meanwhile.
        even_if_paused: for what a person asks for, such as accepting a change, also while nothing else may run.
        on_progress: called about once a second while a plan executes.

    Raises:
        ConfigError: the integration is unknown or its configuration cannot be used.
        Paused: it is paused or removed.
        LockHeld: another writer holds it; the message names it.
        StateError: lake or control database cannot be opened.
        AccessDenied, Unreachable, Unavailable: the file manager; with a remedy.
    """
    from cloudsync_pipeline.engine.session import Session, no_progress
    from cloudsync_pipeline.lake import Lake

    integration = fleet.integration(name)
    folder = fleet.settings.integration_folder(name)
    async with AsyncExitStack() as stack:
        control = stack.enter_context(open_control(fleet.settings))
        control.ensure(name)
        if not even_if_paused:
            control.require_active(name)
        lock = stack.enter_context(_only_writer(folder, name, control, run_id=run_id, purpose=purpose))
        storage = await stack.enter_async_context(open_storage(integration))
        file_manager = await stack.enter_async_context(open_file_manager(integration))
        feed = await stack.enter_async_context(open_feed(integration, fleet.settings)) if integration.feed else None
        await file_manager.connect()
        lake = stack.enter_context(Lake.open(folder, integration=name, fence=lambda _: lock.check()))
        yield Session(
            integration=name,
            identity=identity(storage, file_manager),
            storage=storage,
            file_manager=file_manager,
            lake=lake,
            feed=feed,
            control=control,
            interval=timedelta(seconds=integration.sync.interval),
            reconcile_interval=timedelta(seconds=integration.sync.reconcile_interval),
            policy=integration.rules,
            on_progress=on_progress or no_progress,
        )


@contextmanager
def _only_writer(folder: Path, name: str, control: Control, *, run_id: str, purpose: str) -> Iterator[WriterLock]:
    """Hold the integration's lock, and let the fleet know that its holder is alive."""
    from cloudsync_pipeline.control import writer_lock

    def tell(holder: Holder) -> None:
        control.heartbeat(name, run_id=run_id, holder=f"{holder.host}:{holder.pid}", at=holder.heartbeat_at)

    with writer_lock(folder, integration=name, run_id=run_id, purpose=purpose, on_heartbeat=tell) as lock:
        try:
            yield lock
        finally:
            _silence(name, control, run_id)


def _silence(name: str, control: Control, run_id: str) -> None:
    try:
        control.end_heartbeat(name, run_id=run_id)
    except CloudSyncError as error:
        # What was done is done; a heartbeat that is left behind ages, and is cleared as that of a dead run.
        log.warning("The end of run %s could not be told: %s", run_id, error)
