"""The configuration as a resource."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from cloudsync_pipeline.config import Fleet, IntegrationConfig, load_fleet


class FleetResource(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """What is configured, read anew at each use, so that adding a customer needs no reload of the code location.

    Args:
        path: the main configuration file; by default the one that `CLOUDSYNC_CONFIG` names, else `cloudsync.yaml`
            in the working directory, else the environment describes one integration.
    """

    path: str | None = None

    def load(self) -> Fleet:
        """All that is configured.

        Raises:
            ConfigError: the main file cannot be used; an integration's own error is in `Fleet.errors`.
        """
        return load_fleet(Path(self.path) if self.path else None)

    def integration(self, name: str) -> IntegrationConfig:
        """One integration.

        Raises:
            ConfigError: the main file or its own cannot be used, or there is none of this name.
        """
        return self.load().integration(name)
