"""Both ends of an integration, and its event feed, as resources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.resources.fleet import FleetResource

if TYPE_CHECKING:
    from cloudsync_pipeline.feeds.base import EventFeed
    from cloudsync_pipeline.file_managers.base import FileManager
    from cloudsync_pipeline.storage.base import Storage


class StorageResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """The customer's storage, with connections of its own for each integration."""

    fleet: FleetResource

    @asynccontextmanager
    async def open(self, integration: str) -> AsyncIterator[Storage]:
        """The integration's storage, closed at the end.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        async with wiring.open_storage(self.fleet.integration(integration)) as storage:
            yield storage


class FileManagerResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """The company's file manager, rooted at the integration's destination prefix."""

    fleet: FleetResource

    @asynccontextmanager
    async def open(self, integration: str) -> AsyncIterator[FileManager]:
        """The file manager with its abilities probed, closed at the end.

        Raises:
            ConfigError: the configuration cannot be used.
            AccessDenied, Unreachable, Unavailable: with a remedy.
        """
        async with wiring.open_file_manager(self.fleet.integration(integration)) as file_manager:
            await file_manager.connect()
            yield file_manager


class EventFeedResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """Where changes of the customer's objects are announced."""

    fleet: FleetResource

    @asynccontextmanager
    async def open(self, integration: str) -> AsyncIterator[EventFeed | None]:
        """The integration's feed, closed at the end; None where it has none.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        fleet = self.fleet.load()
        config = fleet.integration(integration)
        if config.feed is None:
            yield None
            return
        async with wiring.open_feed(config, fleet.settings) as feed:
            yield feed
