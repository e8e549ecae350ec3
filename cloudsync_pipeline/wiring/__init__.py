"""From configuration to implementations: the only place that picks them.

Each is imported when it is opened, so that importing this costs neither boto3 nor aiohttp nor DuckDB. Nothing
here talks to a network, but for `open_session`, which connects to the file manager, `note_resting`, which looks at
feeds, and `checks`, which asks each end.
"""

from cloudsync_pipeline.wiring import secrets
from cloudsync_pipeline.wiring.ends import (
    identity,
    open_feed,
    open_file_manager,
    open_storage,
    shared_feed,
    shared_storage,
)
from cloudsync_pipeline.wiring.resting import note_resting
from cloudsync_pipeline.wiring.retention import retention
from cloudsync_pipeline.wiring.state import (
    has_lake,
    hold,
    lake_location,
    lock_holder,
    open_control,
    open_lake,
    open_session,
)

__all__ = [
    "open_storage",
    "open_file_manager",
    "open_feed",
    "identity",
    "has_lake",
    "lake_location",
    "lock_holder",
    "open_control",
    "open_lake",
    "open_session",
    "note_resting",
    "hold",
    "retention",
    "shared_storage",
    "shared_feed",
    "secrets",
]
