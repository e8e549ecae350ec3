"""How long a lake keeps what, from what is configured."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Settings
    from cloudsync_pipeline.lake.maintenance import Retention


def retention(settings: Settings) -> Retention:
    """The lake's own terms for the section `retention`."""
    from cloudsync_pipeline.lake.maintenance import Retention

    told = settings.retention
    return Retention(
        snapshots=timedelta(seconds=told.snapshots),
        events=timedelta(seconds=told.events),
        event_identities=timedelta(seconds=told.event_identities),
        plans=timedelta(seconds=told.history),
    )
