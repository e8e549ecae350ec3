"""What a materialization says of itself: numbers that plot over time, the table's shape, a few examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from cloudsync_pipeline.engine.results import (
    EventsResult,
    ExecutionResult,
    ListingResult,
    PlanResult,
    SnapshotResult,
    Status,
    SyncResult,
)

if TYPE_CHECKING:
    import pyarrow as pa

Metadata = dict[str, Any]

EXAMPLES = 10
"""Rows of a table of examples."""
_WIDEST = 80


def table_facts(schema: pa.Schema, rows: int, name: str) -> Metadata:
    """Dagster's standard keys for one integration's table.

    Args:
        rows: of this integration; each has tables of its own, so the table's rows are the partition's.
        name: of the table, with the integration in front.
    """
    return {
        "dagster/row_count": rows,
        "dagster/partition_row_count": rows,
        "dagster/table_name": name,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    field.name, type=str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable)
                )
                for field in schema
            ]
        ),
    }


def listing_facts(result: ListingResult) -> Metadata:
    """Of `bucket_listing`."""
    return {
        "objects": result.objects,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "objects_per_second": _rate(result.objects, result.seconds),
        "listing": result.listing_id,
        "reused": result.reused,
    }


def events_facts(result: EventsResult, lag: float | None) -> Metadata:
    """Of `change_events`; `lag` is the seconds from the newest event's occurrence to its receipt, where told."""
    facts: Metadata = {
        "received": result.received,
        "new": result.new,
        "duplicates": result.duplicates,
        "malformed": result.malformed,
        "gap": result.gap,
        "seconds": round(result.seconds, 3),
        "by_type": markdown_table(("event", "count"), sorted(result.by_type.items())),
    }
    if lag is not None:
        facts["lag_seconds"] = round(lag, 3)
    return facts


def snapshot_facts(result: SnapshotResult) -> Metadata:
    """Of `state_snapshot`."""
    facts: Metadata = {
        "objects": result.objects,
        "bytes": result.bytes,
        "added": result.added,
        "changed": result.changed,
        "removed": result.removed,
        "observed": result.observed,
        "owed": result.owed,
        "scanned": result.scanned,
        "seconds": round(result.seconds, 3),
        "lake_snapshot": result.snapshot_id,
    }
    if result.drift is not None:
        facts["drift"] = result.drift
    return facts


def plan_facts(result: PlanResult) -> Metadata:
    """Of `state_diff`."""
    facts: Metadata = {
        "operations": result.operations,
        **{f"planned_{kind}": count for kind, count in sorted(result.by_kind.items())},
        "held": result.held,
        "quarantined": result.quarantined,
        "waiting": result.waiting,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "dry_run": result.plan_id is None,
        "lake_snapshot": result.snapshot_id,
        "examples": markdown_table(
            ("operation", "path", "new path", "reason", "held"),
            [
                (kind, path, new or "", reason, "yes" if held else "")
                for kind, path, new, reason, held in result.examples
            ],
        ),
    }
    if result.plan_id is not None:
        facts["plan"] = result.plan_id
    if result.guard_reason is not None:
        facts["guard"] = result.guard_reason
    return facts


def execution_facts(result: ExecutionResult) -> Metadata:
    """Of `executed_operations`."""
    facts: Metadata = {
        "operations": result.operations,
        "done": sum(result.done.values()),
        "failed": sum(result.failed.values()),
        "skipped": sum(result.skipped.values()),
        "quarantined": sum(result.quarantined.values()),
        "held": result.held,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "bytes_per_second": _rate(result.bytes, result.seconds),
        "lake_snapshot": result.snapshot_id,
        **{f"done_{kind}": count for kind, count in sorted(result.done.items())},
        "failures": markdown_table(
            ("operation", "path", "status", "error"),
            [(f.kind, f.path, f.status, f"{f.error_kind}: {f.error}") for f in result.failures],
        ),
    }
    if result.plan_id is not None:
        facts["plan"] = result.plan_id
    return facts


def sync_facts(result: SyncResult, now: Status) -> Metadata:
    """Of `sync_report`."""
    execution = result.execution
    facts: Metadata = {
        "verdict": result.verdict.value,
        "mode": result.mode.value,
        "owed": now.owed,
        "quarantined": now.quarantined,
        "held": now.held,
        "files": now.files,
        "file_bytes": now.files_bytes,
        "operations_done": sum(execution.done.values()) if execution else 0,
        "failures": sum(execution.failed.values()) if execution else 0,
        "bytes_sent": execution.bytes if execution else 0,
        "seconds": round(result.seconds, 3),
        "started_at": dg.MetadataValue.timestamp(result.started_at),
    }
    if result.error is not None:
        facts["error"] = result.error
    if result.report_error is not None:
        facts["report_error"] = result.report_error
    return facts


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """At most `EXAMPLES` rows as a Markdown table; a key can hold anything, and must not break out of its cell."""
    lines = [_row(head), _row(["---"] * len(head))]
    shown = list(rows)
    lines += [_row([cell(value) for value in row]) for row in shown[:EXAMPLES]]
    if len(shown) > EXAMPLES:
        lines.append(f"\n... and {len(shown) - EXAMPLES:,} more")
    return dg.MetadataValue.md("\n".join(lines) if shown else "none")


def cell(value: object) -> str:
    """One value as text that stays in its cell: shortened, control characters shown, Markdown's own signs escaped."""
    text = str(value)
    if len(text) > _WIDEST:
        text = f"{text[: _WIDEST - 1]}…"
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    for sign in ("\\", "|", "`", "*", "_", "[", "]", "<"):
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rate(amount: int, seconds: float) -> float:
    return round(amount / seconds, 1) if seconds > 0 else 0.0
