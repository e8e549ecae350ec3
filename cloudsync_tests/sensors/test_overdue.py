"""An integration that nothing completes for is said to be overdue, and so is its recovery."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Integration, IntegrationState, RunResult
from cloudsync_pipeline.control.overdue import overdue_since
from cloudsync_pipeline.sensors.overdue import overdue_integrations
from cloudsync_tests.dagster_fleet import a_fleet, tick

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

FINE = Integration(
    name="acme",
    state=IntegrationState.ACTIVE,
    reason=None,
    config_fingerprint=None,
    added_at=NOW - 100 * HOUR,
    state_changed_at=NOW - 100 * HOUR,
    last_verdict="in_sync",
    last_finished_at=NOW - timedelta(minutes=5),
    last_success_at=NOW - timedelta(minutes=5),
)
RUNNING = {"last_verdict": "running", "last_finished_at": None}


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({}, None),
        ({"last_finished_at": NOW - HOUR}, NOW - HOUR + timedelta(minutes=15)),
        ({"last_verdict": "held", "last_success_at": NOW - 50 * HOUR}, None),
        ({"last_verdict": "failed", "last_success_at": NOW - HOUR}, NOW - HOUR + timedelta(minutes=15)),
        ({"last_verdict": "failed", "last_success_at": None}, NOW - 100 * HOUR + timedelta(minutes=15)),
        ({"last_verdict": "running", "last_finished_at": None}, None),
        (RUNNING | {"unfinished_since": NOW - 5 * HOUR}, None),
        (RUNNING | {"unfinished_since": NOW - 7 * HOUR}, NOW - HOUR),
        (RUNNING | {"unfinished_since": NOW - 7 * HOUR, "state_changed_at": NOW - HOUR}, None),
        ({"state": IntegrationState.PAUSED, "last_finished_at": NOW - HOUR}, None),
        ({"last_verdict": "failed", "last_success_at": NOW - 9 * HOUR, "state_changed_at": NOW}, None),
    ],
    ids=[
        "fine",
        "silent",
        "held",
        "failing",
        "never",
        "running",
        "running long",
        "hanging",
        "hung before",
        "paused",
        "just resumed",
    ],
)
def test_three_intervals_and_a_quarter_of_an_hour_at_least_are_given(
    changes: dict[str, object], since: datetime | None
) -> None:
    assert overdue_since(dataclasses.replace(FINE, **changes), 60, NOW) == since  # type: ignore[arg-type]


def test_a_longer_interval_gives_more_time() -> None:
    late = dataclasses.replace(FINE, last_finished_at=NOW - 2 * HOUR)
    assert overdue_since(late, 3600, NOW) is None


def test_each_integration_is_evaluated_when_it_becomes_overdue_and_when_it_recovers(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme", "beta") as fleet:
        now = datetime.now(UTC)
        with fleet.control() as control:
            for name in ("acme", "beta"):
                control.ensure(name)
                control.record_result(RunResult(f"{name}-1", name, "incremental", "in_sync", now, now - 9 * HOUR))
            control.record_result(RunResult("beta-2", "beta", "incremental", "in_sync", now, now))

        first = tick(overdue_integrations, fleet)
        [late] = first.asset_events
        assert (late.partition, late.passed, late.check_name) == ("acme", False, "overdue")

        assert tick(overdue_integrations, fleet, cursor=first.cursor).asset_events == []

        with fleet.control() as control:
            control.record_result(RunResult("acme-2", "acme", "incremental", "in_sync", now, now))
        [well] = tick(overdue_integrations, fleet, cursor=first.cursor).asset_events
        assert (well.partition, well.passed) == ("acme", True)
