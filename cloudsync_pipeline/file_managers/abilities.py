"""Asking a file manager for something that it does not declare."""

from __future__ import annotations

from cloudsync_pipeline.core.errors import CapabilityMissing
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities


def require(capabilities: FileManagerCapabilities, ability: str, who: str) -> None:
    """Raises CapabilityMissing where `ability`, a boolean of `FileManagerCapabilities`, is not declared."""
    if not getattr(capabilities, ability):
        raise CapabilityMissing(
            f"{who} does not declare {ability!r}.",
            remedy="Plan without it, or declare it in the configuration if it is there after all.",
        )
