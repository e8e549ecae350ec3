"""Small looks into a lake for the metadata of a materialization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import dagster as dg

from cloudsync_pipeline.assets.metadata import Metadata, markdown_table, table_facts

if TYPE_CHECKING:
    from cloudsync_pipeline.lake import Lake

Table = Literal["objects", "events", "operations", "outcomes", "runs"]


def table_of(lake: Lake, name: Table) -> Metadata:
    """Dagster's standard keys for one of the lake's tables, as it is now."""
    # One of the names above, never a person's text.
    rows = int(lake.scalar(f"SELECT count(*) FROM {name}"))  # noqa: S608
    shape = lake.arrow(f"SELECT * FROM {name} LIMIT 0").schema  # noqa: S608
    return table_facts(shape, rows, f"{lake.integration}.{name}")


def version_of(lake: Lake, *tables: str) -> dg.DataVersion:
    """The last snapshot that changed these tables: it stays the same while the data do."""
    return dg.DataVersion(str(lake.last_change(*tables)))


def newest_events(lake: Lake, run_id: str) -> dg.MarkdownMetadataValue:
    """Events that a run took in, newest first."""
    rows = lake.read(
        "SELECT coalesce(event_type, 'not understood'), key, coalesce(new_key, ''), "
        "coalesce(occurred_at::VARCHAR, ''), coalesce(malformed_reason, '') "
        "FROM events WHERE run_id = ? ORDER BY occurred_at DESC NULLS LAST LIMIT 10",
        [run_id],
    )
    return markdown_table(("event", "key", "new key", "occurred at", "malformed"), rows)


def event_lag(lake: Lake, run_id: str) -> float | None:
    """Seconds that the newest event of a run took from its occurrence to its receipt; None where none tells."""
    value = lake.scalar(
        "SELECT epoch(arg_max(received_at, occurred_at)) - epoch(max(occurred_at)) FROM events "
        "WHERE run_id = ? AND occurred_at IS NOT NULL",
        [run_id],
    )
    return None if value is None else max(0.0, float(value))


def newest_objects(lake: Lake) -> dg.MarkdownMetadataValue:
    """The objects modified last."""
    rows = lake.read(
        "SELECT key, size, coalesce(last_modified::VARCHAR, '') FROM objects "
        "ORDER BY last_modified DESC NULLS LAST LIMIT 10"
    )
    return markdown_table(("key", "bytes", "last modified"), rows)
