"""A tick requests a run for each integration that is due, free and usable, and for no other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._utils.tags import is_valid_tag_key

from cloudsync_pipeline.control import RunResult
from cloudsync_pipeline.schedules import (
    backup_schedule,
    hour_of,
    incremental_schedule,
    maintenance_schedule,
    reconcile_schedule,
)
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet, a_run

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    """Three integrations whose initial sync is done; one has no feed."""
    with a_fleet(tmp_path, "acme", "beta", lasting=True) as fleet:
        fleet.add("scan", feed=False)
        for name in ("acme", "beta", "scan"):
            synced(fleet, name)
        yield fleet


def synced(
    fleet: FleetOfTests,
    name: str,
    verdict: str = "in_sync",
    *,
    at: datetime = NOW - timedelta(hours=1),
    due: datetime = NOW,
    scan_due: datetime = LATER,
) -> None:
    with fleet.control() as control:
        control.ensure(name)
        control.record_result(
            RunResult(f"run-{name}", name, "initial", verdict, at, at), next_incremental_at=due, next_scan_at=scan_due
        )


def requested(fleet: FleetOfTests, schedule: dg.ScheduleDefinition, at: datetime = NOW) -> list[str | None]:
    answer = tick(fleet, schedule, at)
    return [] if isinstance(answer, dg.SkipReason) else [request.partition_key for request in answer]


def tick(fleet: FleetOfTests, schedule: dg.ScheduleDefinition, at: datetime = NOW) -> Any:
    needed = {name: one for name, one in fleet.resources().items() if name in schedule.required_resource_keys}
    with dg.build_schedule_context(instance=fleet.instance, scheduled_execution_time=at, resources=needed) as context:
        return schedule(context)


def test_those_whose_interval_is_over_get_an_incremental_sync(fleet: FleetOfTests) -> None:
    synced(fleet, "beta", due=NOW + timedelta(minutes=1))

    assert requested(fleet, incremental_schedule) == ["acme"]
    assert requested(fleet, incremental_schedule, NOW + timedelta(minutes=1)) == ["acme", "beta"]


def test_one_without_a_feed_is_reconciled_at_its_interval_instead(fleet: FleetOfTests) -> None:
    synced(fleet, "scan", scan_due=NOW)

    assert "scan" not in requested(fleet, incremental_schedule)
    assert requested(fleet, reconcile_schedule) == ["scan"]


def test_a_due_or_requested_scan_takes_the_place_of_the_incremental_sync(fleet: FleetOfTests) -> None:
    synced(fleet, "acme", scan_due=NOW)
    with fleet.control() as control:
        control.request_scan("beta", "events were lost")

    assert sorted(map(str, requested(fleet, reconcile_schedule))) == ["acme", "beta"]
    assert requested(fleet, incremental_schedule) == []


def test_a_queued_or_running_run_of_any_kind_keeps_others_away(fleet: FleetOfTests) -> None:
    a_run(fleet, "acme", dg.DagsterRunStatus.NOT_STARTED, kind="reconcile")
    a_run(fleet, "beta", dg.DagsterRunStatus.STARTED, kind="maintenance")

    answer = tick(fleet, incremental_schedule)

    assert isinstance(answer, dg.SkipReason)
    assert "acme, beta" in str(answer.skip_message)


def test_runs_are_asked_for_once_a_tick_however_many_integrations_there_are(fleet: FleetOfTests) -> None:
    with patch.object(type(fleet.instance), "get_runs", autospec=True, side_effect=lambda *a, **k: []) as asked:
        assert requested(fleet, incremental_schedule) == ["acme", "beta"]
    assert asked.call_count == 1


def test_nothing_is_requested_before_the_initial_sync_is_done(fleet: FleetOfTests) -> None:
    fleet.add("fresh")
    with fleet.control() as control:
        control.ensure("fresh")

    for schedule in (incremental_schedule, reconcile_schedule, maintenance_schedule):
        assert "fresh" not in requested(fleet, schedule, NOW.replace(hour=hour_of("fresh")))


def test_paused_removed_and_unusable_ones_are_left_out(fleet: FleetOfTests) -> None:
    with fleet.control() as control:
        control.pause("acme", "the customer asked")
        control.remove("scan", "contract ended")
    fleet.write("beta", "storage: {}")

    assert requested(fleet, incremental_schedule) == []
    assert requested(fleet, reconcile_schedule, LATER) == []


def test_after_a_failure_the_interval_passes_first_whatever_made_it_due(fleet: FleetOfTests) -> None:
    synced(fleet, "acme", "failed", at=NOW - timedelta(minutes=2), scan_due=NOW)
    with fleet.control() as control:
        control.request_scan("acme", "events were lost")

    assert requested(fleet, reconcile_schedule) == []
    assert requested(fleet, reconcile_schedule, NOW + timedelta(minutes=3)) == ["acme"]


def test_each_is_maintained_in_one_hour_of_the_day(fleet: FleetOfTests) -> None:
    asked = [
        (hour, name) for hour in range(24) for name in requested(fleet, maintenance_schedule, NOW.replace(hour=hour))
    ]

    assert sorted(asked) == sorted((hour_of(name), name) for name in ("acme", "beta", "scan"))


@pytest.mark.parametrize(("kind", "schedule"), [("maintenance", maintenance_schedule), ("backup", backup_schedule)])
def test_what_always_syncs_or_fails_is_cared_for_as_well(
    fleet: FleetOfTests, kind: str, schedule: dg.ScheduleDefinition
) -> None:
    Path(fleet.config).write_text("database: {path: state, backup_enabled: true}\n")
    a_run(fleet, "acme", dg.DagsterRunStatus.STARTED, kind="incremental")
    synced(fleet, "beta", "failed", at=NOW + timedelta(days=1))
    a_run(fleet, "scan", dg.DagsterRunStatus.NOT_STARTED, kind=kind)

    asked = {name for hour in range(24) for name in requested(fleet, schedule, NOW.replace(hour=hour))}

    assert asked == {"acme", "beta"}


def test_a_tick_that_is_run_again_asks_under_the_same_key(fleet: FleetOfTests) -> None:
    first, second = tick(fleet, incremental_schedule), tick(fleet, incremental_schedule)

    assert [request.run_key for request in first] == [request.run_key for request in second]
    assert len({request.run_key for request in first}) == 2


def test_a_run_carries_its_integrations_owner_and_labels(fleet: FleetOfTests) -> None:
    fleet.add("acme", extra="owner: Storage team\ntags: {tier: gold, cost centre: 4 711}")

    [acme, beta] = tick(fleet, incremental_schedule)

    assert acme.tags == {
        "cloudsync/owner": "Storage team",
        "cloudsync.tag/tier": "gold",
        "cloudsync.tag/cost_centre": "4 711",
    }
    assert all(is_valid_tag_key(name) for name in acme.tags)
    assert beta.tags == {}
