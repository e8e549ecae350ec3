"""What is remembered, as resources: one integration's lake, and the fleet's control database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.resources.fleet import FleetResource

if TYPE_CHECKING:
    from cloudsync_pipeline.control import Control
    from cloudsync_pipeline.lake import Lake


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """One integration's versioned tables."""

    fleet: FleetResource

    @contextmanager
    def open(self, integration: str) -> Iterator[Lake]:
        """The lake for reading, beside any writer; closed at the end.

        Raises:
            StateError: there is none yet, or it cannot be opened.
            ConfigError: the configuration cannot be used.
        """
        with wiring.open_lake(self.fleet.load().settings, integration, read_only=True) as lake:
            yield lake

    @contextmanager
    def open_for_writing(
        self, integration: str, *, run_id: str, purpose: str, leaves_debts: bool = False
    ) -> Iterator[Lake]:
        """The lake as its only writer, where neither end is needed; closed at the end.

        Args:
            run_id, purpose: told to whoever comes second.
            leaves_debts: nothing that is owed is changed.

        Raises:
            LockHeld: another writer is at it; the message names it.
            StateError: it cannot be opened.
            ConfigError: the configuration cannot be used.
        """
        settings = self.fleet.load().settings
        with wiring.open_lake(settings, integration, run_id=run_id, purpose=purpose, leaves_debts=leaves_debts) as lake:
            yield lake


class ControlResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """The control database of the fleet."""

    fleet: FleetResource

    @contextmanager
    def open(self) -> Iterator[Control]:
        """The database, closed at the end.

        Raises:
            StateError: it cannot be reached.
            ConfigError: the configuration cannot be used.
        """
        with wiring.open_control(self.fleet.load().settings) as control:
            yield control
