"""What checks look at: each takes stored state and says how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from cloudsync_pipeline.assets.metadata import markdown_table

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.verify import VerifyResult
    from cloudsync_pipeline.lake import Lake


@dataclass(frozen=True, slots=True)
class Look:
    """How something stands.

    Attributes:
        why: in one sentence, where it does not pass or there is more to say.
        serious: False for what waits for a person or the customer, and is no defect.
    """

    passed: bool
    why: str | None = None
    serious: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As Dagster's results and evaluations of checks take it."""
        return {
            "passed": self.passed,
            "severity": dg.AssetCheckSeverity.ERROR if self.serious else dg.AssetCheckSeverity.WARN,
            "description": self.why,
            "metadata": dict(self.facts),
        }


def listing_complete(lake: Lake) -> Look:
    """Whether the newest listing, staged or merged, is whole."""
    import pyarrow.parquet as pq

    from cloudsync_pipeline.engine.staging import complete_listings

    staged = complete_listings(lake.staging)
    if staged:
        newest = staged[-1]
        there = sum(pq.read_metadata(part).num_rows for part in newest.parts if part.exists())
        facts = {"objects": newest.objects, "staged": there, "bytes": newest.bytes, "listing": newest.listing_id}
        return Look(there == newest.objects, f"{there:,} of {newest.objects:,} objects are staged.", facts=facts)
    merged = lake.one("SELECT listing_id, objects, bytes FROM listings ORDER BY merged_at DESC LIMIT 1")
    if merged is None:
        return Look(False, "No listing was ever completed.")
    facts = {"listing": merged[0], "objects": merged[1], "bytes": merged[2]}
    return Look(True, f"{merged[1]:,} objects were listed and merged.", facts=facts)


def drift(lake: Lake) -> Look:
    """Whether the newest full scan found what events had missed."""
    from cloudsync_pipeline.lake import observing

    found = observing.drift_over_time(lake, limit=10)
    if not found:
        return Look(True, "No scan since the first had events to be compared with.", facts={"drift": 0})
    missed = found[0][1]
    return Look(
        missed == 0,
        f"The newest full scan found {missed:,} differences that no event had announced." if missed else None,
        serious=False,
        facts={
            "drift": missed,
            "scans": markdown_table(("scan", "drift"), [(f"{at:%Y-%m-%d %H:%M}", n) for at, n in found]),
        },
    )


def delete_guard(lake: Lake) -> Look:
    """Whether the newest plan holds deletes."""
    from cloudsync_pipeline.engine.status import held_deletes
    from cloudsync_pipeline.lake import plans

    held = held_deletes(lake)
    plan = plans.newest(lake)
    if not held or plan is None:
        return Look(True, facts={"held": 0})
    examples = lake.read(
        "SELECT path, reason FROM operations WHERE plan_id = ? AND held ORDER BY path LIMIT 10", [plan.plan_id]
    )
    return Look(
        False,
        f"{held:,} deletes are held: {plan.guard_reason}.",
        serious=False,
        facts={
            "held": held,
            "plan": plan.plan_id,
            "examples": markdown_table(("path", "reason"), examples),
            "remedy": f"cloudsync plan show --integration {lake.integration}; then cloudsync plan approve, "
            f"or a run with the option approve_plan: {plan.plan_id}",
        },
    )


def failed_operations(lake: Lake) -> Look:
    """Whether anything is owed because it failed."""
    failed = int(lake.scalar("SELECT count(*) FROM owed WHERE last_error IS NOT NULL AND quarantined_at IS NULL"))
    examples = lake.read(
        "SELECT path, aspect, coalesce(attempts, 0), coalesce(last_error_kind, ''), last_error "
        "FROM owed WHERE last_error IS NOT NULL AND quarantined_at IS NULL ORDER BY attempts DESC, path LIMIT 10"
    )
    return Look(
        failed == 0,
        f"{failed:,} operations failed; they stay owed and are tried again." if failed else None,
        facts={
            "failed": failed,
            "examples": markdown_table(("path", "what", "runs", "error", "message"), examples),
        },
    )


def quarantine(lake: Lake) -> Look:
    """Whether any path is in quarantine."""
    paths = int(lake.scalar("SELECT count(DISTINCT path) FROM owed WHERE quarantined_at IS NOT NULL"))
    examples = lake.read(
        "SELECT path, coalesce(last_error, reason, ''), coalesce(attempts, 0), quarantined_at::VARCHAR, "
        "CASE WHEN isfinite(next_try) THEN next_try::VARCHAR ELSE 'when asked for' END "
        "FROM owed WHERE quarantined_at IS NOT NULL ORDER BY quarantined_at DESC, path LIMIT 10"
    )
    return Look(
        paths == 0,
        f"{paths:,} paths are in quarantine." if paths else None,
        serious=False,
        facts={
            "quarantined": paths,
            "examples": markdown_table(("path", "why", "runs", "since", "tried again"), examples),
        },
    )


def sample_matches(found: VerifyResult | None) -> Look:
    """Whether a sample is as acknowledged; None where the file manager cannot be asked for a file."""
    if found is None:
        return Look(True, "The file manager cannot be asked for a file.", facts={"compared": 0})
    return Look(
        not found.differences,
        f"{found.differences:,} of {found.looked_at:,} files differ." if found.differences else None,
        facts={
            "compared": found.looked_at,
            "different": found.differences,
            **found.by_kind,
            "examples": markdown_table(("path", "what", "how"), [(d.path, d.kind, d.detail) for d in found.examples]),
        },
    )


def in_time(since: datetime | None, interval: float) -> Look:
    """Whether the last sync is recent enough; `since`: when one should have been completed, or None."""
    facts: dict[str, Any] = {"interval_seconds": interval}
    if since is None:
        return Look(True, facts=facts)
    facts["overdue_since"] = dg.MetadataValue.timestamp(since)
    return Look(False, f"No sync was completed in time; overdue since {since:%Y-%m-%d %H:%M} UTC.", facts=facts)
