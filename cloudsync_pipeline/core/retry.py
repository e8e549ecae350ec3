"""When to try again, and how long to wait first."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_DELAY = 0.5
"""Seconds before the second attempt of an operation, before jitter."""

LONGEST_DELAY = 30.0
"""Seconds that one wait within a run is at most, whatever the other side asks for: beyond it, the path stays owed."""

FIRST_QUARANTINE = timedelta(hours=1)
LONGEST_QUARANTINE = timedelta(days=7)


def delay_before(attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait before an attempt (the second is 2): exponential, between half and all of it by `jitter`.

    Args:
        jitter: a random number from 0 to 1, given by the caller.
        retry_after: what the other side asked for; never undercut.
    """
    exponential = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** max(0, attempt - 2))
    return max(exponential * (0.5 + jitter / 2), retry_after or 0.0)


def quarantine_until(now: datetime, runs_failed: int, quarantine_after: int) -> datetime:
    """When a quarantined path is tried again: an hour, doubling with each further failed run, up to a week."""
    doublings = min(max(0, runs_failed - quarantine_after), 12)
    return now + min(FIRST_QUARANTINE * (1 << doublings), LONGEST_QUARANTINE)
