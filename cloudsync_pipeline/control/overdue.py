"""Which integrations are overdue: Dagster's freshness looks at an asset as a whole, not at one customer."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudsync_pipeline.control.records import Integration, IntegrationState

INTERVALS = 3
"""So many intervals may pass without a completed sync."""
AT_LEAST = timedelta(minutes=15)
RUNS_FOR = timedelta(hours=6)
"""What a run may take, however short the interval: the first one of a large bucket takes hours."""

_NOT_COMPLETED = {"failed", "running", "planned"}


def overdue_since(integration: Integration, interval: float, now: datetime) -> datetime | None:
    """Since when a sync should have been completed again; None where all is well.

    One that is under way counts as late only after `RUNS_FOR`: it hangs, or each new one is killed before its end.

    Args:
        interval: of the integration, in seconds.
        now: aware.
    """
    if integration.state is not IntegrationState.ACTIVE:
        return None
    patience = max(INTERVALS * timedelta(seconds=interval), AT_LEAST)
    if integration.last_verdict == "running":
        if integration.unfinished_since is None:
            return None
        deadline = max(integration.unfinished_since, integration.state_changed_at) + max(patience, RUNS_FOR)
    else:
        deadline = _last_completed(integration) + patience
    return deadline if deadline < now else None


def _last_completed(integration: Integration) -> datetime:
    if integration.last_finished_at is not None and integration.last_verdict not in _NOT_COMPLETED:
        # A look at the feed that found nothing new needed no run.
        return max(integration.last_finished_at, integration.last_checked_at or integration.last_finished_at)
    # What was changed last: it was added, or resumed, and could not run before.
    return max(integration.last_success_at or integration.added_at, integration.state_changed_at)
