"""An integration opened for writing: what the steps of a sync work on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.resources.fleet import FleetResource
from cloudsync_pipeline.resources.state import ControlResource

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.session import Session


class SessionResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """Storage, file manager, feed, lake and control database of one integration, under its writer lock.

    The single resources beside this one look at one thing each; a sync needs all of them together.
    """

    fleet: FleetResource
    control: ControlResource

    @asynccontextmanager
    async def open(self, integration: str, *, run_id: str, purpose: str) -> AsyncIterator[Session]:
        """The integration as its only writer; everything is closed and the lock released at the end.

        Args:
            run_id, purpose: told to whoever comes second.

        Raises:
            LockHeld: another writer is at it; the message names it.
            Paused: it is paused or removed.
            IdentityChanged: it points elsewhere than its lake remembers.
            ConfigError: the configuration cannot be used.
        """
        async with wiring.open_session(self.fleet.load(), integration, run_id=run_id, purpose=purpose) as session:
            yield session
