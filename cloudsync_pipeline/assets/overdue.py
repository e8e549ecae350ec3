"""Which integrations are overdue: Dagster's freshness looks at an asset as a whole, not at one customer."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudsync_pipeline.control import Integration, IntegrationState

INTERVALS = 3
"""So many intervals may pass without a completed sync."""
AT_LEAST = timedelta(minutes=15)

_NOT_COMPLETED = {"failed", "running", "planned"}


def overdue_since(integration: Integration, interval: float, now: datetime) -> datetime | None:
    """Since when a sync should have been completed again; None where all is well.

    Args:
        interval: of the integration, in seconds.
        now: aware.
    """
    if integration.state is not IntegrationState.ACTIVE or integration.last_verdict == "running":
        # One that runs is late at worst; should it hang, its heartbeat or its run's own limit ends it.
        return None
    deadline = _last_completed(integration) + max(INTERVALS * timedelta(seconds=interval), AT_LEAST)
    return deadline if deadline < now else None


def _last_completed(integration: Integration) -> datetime:
    if integration.last_finished_at is not None and integration.last_verdict not in _NOT_COMPLETED:
        return integration.last_finished_at
    # What was changed last: it was added, or resumed, and could not run before.
    return max(integration.last_success_at or integration.added_at, integration.state_changed_at)
