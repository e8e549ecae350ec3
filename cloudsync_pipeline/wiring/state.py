"""What is remembered, opened: the control database, a lake, and all that one sync works with."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from cloudsync_pipeline import logs
from cloudsync_pipeline.core.errors import AccessDenied, CloudSyncError, LockLost
from cloudsync_pipeline.wiring import secrets
from cloudsync_pipeline.wiring.ends import identity, open_feed, open_file_manager, open_storage

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cloudsync_pipeline.config import Fleet, IntegrationConfig, Settings
    from cloudsync_pipeline.control import Control, Holder, WriterLock
    from cloudsync_pipeline.engine.results import Progress
    from cloudsync_pipeline.engine.session import Session
    from cloudsync_pipeline.file_managers.base import FileManager
    from cloudsync_pipeline.lake import Lake
    from cloudsync_pipeline.lake.location import Location
    from cloudsync_pipeline.storage.base import Storage

log = logging.getLogger(__name__)


def open_control(settings: Settings) -> Control:
    """The control database of the fleet; close it, or enter it.

    Raises:
        ConfigError: its URL cannot be used.
        StateError: it cannot be reached.
    """
    from cloudsync_pipeline.control import Control

    return Control.open(settings.control_url())


def lake_location(settings: Settings, name: str) -> Location:
    """Where an integration's lake is: its folder, or its schema and its part of the bucket.

    Raises:
        ConfigError: the catalog's address cannot be used.
    """
    from cloudsync_pipeline.lake.location import Folder

    folder, lakes = settings.integration_folder(name).absolute(), settings.database.lakes
    if lakes is None:
        return Folder(folder)
    from cloudsync_pipeline.lake.bucket import Bucket, BucketFiles
    from cloudsync_pipeline.lake.cluster import Cluster, schema_of

    keys = lakes.credentials
    bucket = Bucket(
        lakes.bucket,
        endpoint=lakes.endpoint,
        region=lakes.region,
        access_key=keys.access_key.get_secret_value() if keys.access_key else None,
        secret_key=keys.secret_key.get_secret_value() if keys.secret_key else None,
        session_token=keys.session_token.get_secret_value() if keys.session_token else None,
        profile=keys.profile,
        addressing=lakes.addressing,
    )
    catalog = lakes.catalog.get_secret_value() if lakes.catalog else settings.control_url()
    return Cluster(folder, catalog, schema_of(name), BucketFiles(bucket, f"{lakes.prefix}{name}/"))


def has_lake(settings: Settings, name: str) -> bool:
    """Whether anything is stored of an integration yet: its first sync makes it.

    Raises:
        StateError: its catalog cannot be asked.
    """
    return lake_location(settings, name).exists()


def lock_holder(settings: Settings, name: str, control: Control) -> Holder | None:
    """Who writes to an integration now, or was killed doing so; None where nobody does.

    Raises:
        StateError: the control database cannot be asked.
    """
    from cloudsync_pipeline.control import holder

    return holder(settings.integration_folder(name), name, control.leases)


@overload
def open_lake(settings: Settings, name: str, *, read_only: Literal[True]) -> AbstractContextManager[Lake]: ...
@overload
def open_lake(
    settings: Settings, name: str, *, run_id: str, purpose: str, leaves_debts: bool = ...
) -> AbstractContextManager[Lake]: ...
@contextmanager
def open_lake(
    settings: Settings,
    name: str,
    *,
    read_only: bool = False,
    run_id: str = "",
    purpose: str = "",
    leaves_debts: bool = False,
) -> Iterator[Lake]:
    """An integration's lake, closed at the end: for reading, beside any writer, or as its only writer.

    Args:
        settings: where state is.
        name: the integration's.
        read_only: needs no lock.
        run_id, purpose: of the writer, for whoever wants to write meanwhile.
        leaves_debts: this writer changes nothing that is owed; else the next sync that is due looks for itself.

    Raises:
        LockHeld: another writer holds the integration.
        StateError: there is no lake yet to read, or it cannot be opened.
    """
    from cloudsync_pipeline.lake import Lake

    location = lake_location(settings, name)
    if read_only:
        with Lake.open(location, integration=name, read_only=True, memory_limit=_memory_limit(settings)) as lake:
            yield lake
        return
    with (
        logs.about(integration=name, run_id=run_id),
        open_control(settings) as control,
        _only_writer(location.folder, name, control, run_id=run_id, purpose=purpose) as lock,
        _written(settings, location, name, lock) as lake,
    ):
        if not leaves_debts:
            control.wake(name)
        yield lake


@contextmanager
def hold(settings: Settings, name: str, *, run_id: str, purpose: str) -> Iterator[WriterLock]:
    """Be an integration's only writer without opening its lake, which may be damaged, or away.

    Raises:
        LockHeld: another writer holds the integration.
    """
    with (
        open_control(settings) as control,
        _only_writer(settings.integration_folder(name), name, control, run_id=run_id, purpose=purpose) as lock,
    ):
        yield lock


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
    from cloudsync_pipeline.file_managers.fenced import Fenced

    integration = fleet.integration(name)
    location = lake_location(fleet.settings, name)
    async with AsyncExitStack() as stack:
        stack.enter_context(logs.about(integration=name, run_id=run_id))
        control = stack.enter_context(open_control(fleet.settings))
        control.ensure(name)
        if not even_if_paused:
            control.require_active(name)
        lock = stack.enter_context(_only_writer(location.folder, name, control, run_id=run_id, purpose=purpose))
        storage = await _accepted_storage(stack, integration)
        file_manager = await _connected_file_manager(stack, integration)
        feed = await stack.enter_async_context(open_feed(integration, fleet.settings)) if integration.feed else None
        # Until this run has told how it ended, nobody knows what is left to do.
        control.wake(name)
        lake = stack.enter_context(_written(fleet.settings, location, name, lock))
        session = Session(
            integration=name,
            identity=identity(storage, file_manager),
            storage=storage,
            file_manager=Fenced(file_manager, lock.check),
            lake=lake,
            feed=feed,
            control=control,
            config_fingerprint=integration.fingerprint,
            interval=timedelta(seconds=integration.sync.interval),
            reconcile_interval=timedelta(seconds=integration.sync.reconcile_interval),
            policy=integration.rules,
            on_progress=on_progress or no_progress,
        )
        try:
            yield session
        except LockLost:
            raise
        except CloudSyncError as error:
            if isinstance(error, AccessDenied):
                # The next session reads the secrets anew, however fresh they are.
                secrets.forget(integration)
            _tidy(lake, run_id)
            raise
        _tidy(lake, run_id)


def _tidy(lake: Lake, run_id: str) -> None:
    """What was done is stored and told by now: that its traces are many files is no failure of it."""
    from cloudsync_pipeline.lake import tidying

    try:
        tidying.tidy(lake, run_id)
    except CloudSyncError as error:
        log.warning("the small files of the stored state were not joined: %s", error)


async def _accepted_storage(stack: AsyncExitStack, integration: IntegrationConfig) -> Storage:
    """The storage; where its keys are from a vault and may have been rotated, keys that it accepts."""
    may_be_old = secrets.aged(integration.storage)
    storage = await stack.enter_async_context(open_storage(integration))
    if may_be_old:
        try:
            await storage.health()
        except AccessDenied as error:
            _renew(integration.storage, error)
            storage = await stack.enter_async_context(open_storage(integration))
    return storage


async def _connected_file_manager(stack: AsyncExitStack, integration: IntegrationConfig) -> FileManager:
    """The file manager; a login from a vault that it refuses is read anew, once."""
    try:
        # Some log in as they are opened, some with the first call.
        file_manager = await stack.enter_async_context(open_file_manager(integration))
        await file_manager.connect()
    except AccessDenied as error:
        _renew(integration.file_manager, error)
        file_manager = await stack.enter_async_context(open_file_manager(integration))
        await file_manager.connect()
    return file_manager


def _renew(section: BaseModel, refusal: AccessDenied) -> None:
    """Read a section's secrets anew; a refusal that this cannot mend goes on."""
    if not secrets.renewed(section):
        raise refusal
    log.info("a login was refused, and has been rotated in the vault: the new one is used")


def _written(settings: Settings, location: Location, name: str, lock: WriterLock) -> Lake:
    """The lake, open for the holder of its lock."""
    from cloudsync_pipeline.lake import Lake

    lock.check()
    return Lake.open(
        location,
        integration=name,
        memory_limit=_memory_limit(settings),
        fence=lambda _: lock.check(),
        fence_number=lock.fence,
    )


def _memory_limit(settings: Settings) -> str:
    return f"{settings.database.memory_limit}B"


@contextmanager
def _only_writer(folder: Path, name: str, control: Control, *, run_id: str, purpose: str) -> Iterator[WriterLock]:
    """Hold the integration's lock, and let the fleet know that its holder is alive."""
    from cloudsync_pipeline.control import writer_lock

    def tell(holder: Holder) -> None:
        control.heartbeats.beat(name, run_id=run_id, holder=f"{holder.host}:{holder.pid}", at=holder.heartbeat_at)

    with writer_lock(
        folder, integration=name, run_id=run_id, purpose=purpose, leases=control.leases, on_heartbeat=tell
    ) as lock:
        try:
            yield lock
        finally:
            _silence(name, control, run_id)


def _silence(name: str, control: Control, run_id: str) -> None:
    try:
        control.heartbeats.end(name, run_id=run_id)
    except CloudSyncError as error:
        # What was done is done; a heartbeat that is left behind ages, and is cleared as that of a dead run.
        log.warning("The end of run %s could not be told: %s", run_id, error)
