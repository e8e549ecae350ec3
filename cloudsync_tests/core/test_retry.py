"""Waiting times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cloudsync_pipeline.core.retry import LONGEST_DELAY, LONGEST_QUARANTINE, delay_before, quarantine_until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_waits_grow_and_stay_bounded() -> None:
    waits = [delay_before(attempt, jitter=1.0) for attempt in range(2, 20)]
    assert waits == sorted(waits)
    assert waits[0] == 0.5
    assert waits[-1] == LONGEST_DELAY


def test_jitter_takes_at_most_half_away() -> None:
    assert delay_before(4, jitter=0.0) == delay_before(4, jitter=1.0) / 2


def test_retry_after_is_never_undercut() -> None:
    assert delay_before(2, jitter=0.5, retry_after=17.0) == 17.0


def test_quarantine_doubles_with_each_failed_run_up_to_a_week() -> None:
    assert quarantine_until(NOON, 5, 5) == NOON + timedelta(hours=1)
    assert quarantine_until(NOON, 7, 5) == NOON + timedelta(hours=4)
    assert quarantine_until(NOON, 10_000, 5) == NOON + LONGEST_QUARANTINE
