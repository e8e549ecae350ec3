"""From configuration to implementations: the only place that picks them.

Each is imported when it is opened, so that importing this costs neither boto3 nor aiohttp nor DuckDB. Nothing
here talks to a network, but for `open_session`, which connects to the file manager.
"""

from cloudsync_pipeline.wiring.ends import (
    identity,
    open_feed,
    open_file_manager,
    open_storage,
    shared_feed,
    shared_storage,
)
from cloudsync_pipeline.wiring.state import open_control, open_lake, open_session

__all__ = [
    "open_storage",
    "open_file_manager",
    "open_feed",
    "identity",
    "open_control",
    "open_lake",
    "open_session",
    "shared_storage",
    "shared_feed",
]
