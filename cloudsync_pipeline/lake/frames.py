"""A lake as pandas frames, for notebooks and previews. Results are held in memory: pass a limit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.lake import Lake

if TYPE_CHECKING:
    import pandas as pd

_NEWEST_FIRST: Mapping[str, str] = {
    "objects": "key",
    "files": "path",
    "owed": "since",
    "events": "received_at DESC",
    "operations": "plan_id, seq",
    "plans": "made_at DESC",
    "outcomes": "ended_at DESC",
    "runs": "started_at DESC",
    "listings": "merged_at DESC",
}


def table(
    lake: Lake, name: str, *, limit: int = 1_000, snapshot: int | None = None, time: datetime | None = None
) -> pd.DataFrame:
    """A table as a frame, by key or newest first.

    Args:
        name: one of `schema.TABLES`.
        limit: rows at most.
        snapshot, time: as it was then; the newest state with neither.

    Raises:
        SnapshotGone: that state has expired.
        StateError: there is no such table.
    """
    if name not in schema.TABLES:
        raise StateError(
            f"The lake has no table {name!r}.",
            integration=lake.integration,
            remedy=f"It has {', '.join(schema.TABLES)}.",
        )
    version = lake.as_of(snapshot, time)
    order = _NEWEST_FIRST.get(name, "1")
    return lake.frame(f"SELECT * FROM {name} AT (VERSION => {version}) ORDER BY {order} LIMIT ?", [limit])


def snapshots(lake: Lake, limit: int = 100) -> pd.DataFrame:
    """The newest snapshots: id, time, author (the run), message, and the tables each of them changed."""
    import pandas as pd

    rows = [
        {
            "id": s.id,
            "time": s.time,
            "author": s.author,
            "message": s.message,
            "tables": ", ".join(sorted({name for names in s.changes.values() for name in names})),
        }
        for s in lake.snapshots(limit)
    ]
    return pd.DataFrame(rows, columns=["id", "time", "author", "message", "tables"])


def differences(lake: Lake) -> pd.DataFrame:
    """How many objects and files there are, how many of them differ, and how much is owed, as one row a kind."""
    return lake.frame(schema.sql("differences"))
