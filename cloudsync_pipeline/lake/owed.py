"""Questions about debts."""

from __future__ import annotations

from cloudsync_pipeline.lake.lake import Lake


def unpaid(lake: Lake) -> int:
    """Owed paths that are not quarantined."""
    return int(
        lake.scalar(
            "SELECT count(DISTINCT path) FROM owed "
            "WHERE path NOT IN (SELECT path FROM owed WHERE quarantined_at IS NOT NULL)"
        )
        or 0
    )
