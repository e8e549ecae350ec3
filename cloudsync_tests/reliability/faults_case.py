"""An integration with a proxy at one of its ends, and what is asked of it after a fault."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.engine.results import Mode, SyncResult
from cloudsync_pipeline.lake import Lake
from cloudsync_tests.cli.builders import Place, Ran, forget_logging
from cloudsync_tests.e2e.builders import Deployment
from cloudsync_tests.reliability.faults_proxy import Proxy
from cloudsync_tests.reliability.kills_world import NAME, Destination, require_sound


@dataclass
class Case:
    """See the module's docstring."""

    deployment: Deployment
    destination: Destination
    between: Proxy

    def sync(self) -> SyncResult:
        """A full one, in this process."""
        return self.deployment.sync(NAME, Mode.RECONCILE)

    def command(self, *arguments: str) -> Ran:
        """The command line, in this process."""
        try:
            return Place(self.deployment.folder).run(*arguments)
        finally:
            forget_logging()

    def lake(self) -> AbstractContextManager[Lake]:
        return wiring.open_lake(load_fleet(self.deployment.config).settings, NAME, read_only=True)

    def owed(self) -> list[str]:
        with self.lake() as lake:
            require_sound(lake)
            return [path for (path,) in lake.read("SELECT DISTINCT path FROM owed ORDER BY path")]

    def require_in_step(self, objects: Mapping[str, bytes]) -> None:
        """The file manager holds exactly these, nothing is owed, and nothing unfinished lies about."""
        assert self.destination.contents() == objects
        assert self.owed() == []
        assert self.destination.rest() == []
