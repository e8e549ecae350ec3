"""Each integration's versioned tables. The only room that knows DuckDB."""

from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.versions import Change, Snapshot

__all__ = ["Change", "Connection", "Lake", "Snapshot"]
