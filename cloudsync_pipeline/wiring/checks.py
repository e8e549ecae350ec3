"""Whether what an integration needs can be reached: each of its connections, asked for its health.

For `cloudsync test` and the API's health. Nothing is changed anywhere, and no lake is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.wiring.ends import open_feed, open_file_manager, open_storage
from cloudsync_pipeline.wiring.state import has_lake, lake_location, open_control, open_lake

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at; `error` is what is wrong with it, if anything."""

    integration: str | None
    what: str
    detail: str = ""
    error: CloudSyncError | None = None


def check_control(fleet: Fleet) -> Checked:
    """The control database."""
    try:
        with open_control(fleet.settings) as control:
            count = len(control.list())
    except CloudSyncError as error:
        return Checked(None, "control database", error=error)
    return Checked(None, "control database", f"{count} integrations known")


def check_extensions(fleet: Fleet) -> Checked:
    """DuckDB's extensions, and its signature of each; one that comes in no wheel is fetched, as a sync would."""
    from cloudsync_pipeline.lake.attach import connect

    try:
        names = lake_location(fleet.settings, "any").extensions
        connect(memory_limit=None, threads=1, temp_directory=None, extensions=names, wheels_are_trusted=False).close()
    except CloudSyncError as error:
        return Checked(None, "DuckDB extensions", error=error)
    return Checked(None, "DuckDB extensions", f"{', '.join(names)}, as DuckDB signed them")


def check_configuration(fleet: Fleet, name: str) -> Checked:
    """Whether an integration's configuration can be used; only then the other checks can be made."""
    return Checked(name, "configuration", error=fleet.errors.get(name))


async def _storage(fleet: Fleet, name: str) -> str:
    async with open_storage(fleet.integration(name)) as storage:
        await storage.health()
        return _told(storage.identity)


async def _file_manager(fleet: Fleet, name: str) -> str:
    async with open_file_manager(fleet.integration(name)) as file_manager:
        await file_manager.connect()
        await file_manager.health()
        return _told(file_manager.identity)


async def _feed(fleet: Fleet, name: str) -> str:
    config = fleet.integration(name)
    if config.feed is None:
        return "none; scanned at its interval"
    async with open_feed(config, fleet.settings) as feed:
        await feed.health()
        return _told(feed.identity)


async def _lake(fleet: Fleet, name: str) -> str:
    return await asyncio.to_thread(_snapshot, fleet, name)


def _snapshot(fleet: Fleet, name: str) -> str:
    if not has_lake(fleet.settings, name):
        return "none yet; the initial sync makes it"
    with open_lake(fleet.settings, name, read_only=True) as lake:
        return f"snapshot {lake.current_snapshot()}"


CONNECTIONS: Mapping[str, Callable[[Fleet, str], Awaitable[str]]] = {
    "storage": _storage,
    "file manager": _file_manager,
    "event feed": _feed,
    "stored state": _lake,
}
"""What an integration works with, and how it is asked: each gives words about what it found."""


async def check_connection(fleet: Fleet, name: str, what: str) -> Checked:
    """One of the `CONNECTIONS` of an integration."""
    try:
        return Checked(name, what, await CONNECTIONS[what](fleet, name))
    except CloudSyncError as error:
        return Checked(name, what, error=error)


def _told(identity: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in identity.items() if value)
