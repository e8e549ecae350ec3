"""A run that cannot report for itself is known to have failed, and frees its integration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline.control import RunResult, writer_lock
from cloudsync_pipeline.sensors.broken_runs import SILENCE, canceled_runs, dead_runs, failed_runs
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet, a_run, tick, tick_about

LONG_AGO = datetime.now(UTC) - 2 * SILENCE


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path, "acme") as fleet, fleet.control() as control:
        control.ensure("acme")
        yield fleet


def ended(fleet: FleetOfTests, run: dg.DagsterRun, event: dg.DagsterEvent) -> tuple[dg.DagsterRun, dg.DagsterEvent]:
    found = fleet.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found, event


class TestFailedAndCanceledRuns:
    def test_a_failure_is_recorded_and_the_next_attempt_waits(self, fleet: FleetOfTests) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.STARTED, kind="initial")
        event = fleet.instance.report_run_failed(run, "The worker was killed.")

        tick_about(failed_runs, fleet, *ended(fleet, run, event))

        with fleet.control() as control:
            found = control.get("acme")
        assert (found.last_run_id, found.last_verdict, found.initial_attempts) == (run.run_id, "failed", 1)
        assert found.initial_next_try is not None
        assert found.next_incremental_at is not None
        assert found.next_incremental_at > datetime.now(UTC) + timedelta(minutes=4)

    def test_one_that_reported_for_itself_is_left_alone(self, fleet: FleetOfTests) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.STARTED, kind="initial")
        with fleet.control() as control:
            now = datetime.now(UTC)
            control.record_result(RunResult(run.run_id, "acme", "initial", "partial", now, now))
        event = fleet.instance.report_run_failed(run, "Steps failed: ['sync_report'].")

        result = tick_about(failed_runs, fleet, *ended(fleet, run, event))

        assert isinstance(result, dg.SkipReason)
        with fleet.control() as control:
            assert control.get("acme").last_verdict == "partial"

    def test_a_run_canceled_in_the_queue_is_recorded_too(self, fleet: FleetOfTests) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.NOT_STARTED, kind="initial")
        event = fleet.instance.report_run_canceled(run)

        tick_about(canceled_runs, fleet, *ended(fleet, run, event))

        with fleet.control() as control:
            assert control.results("acme")[0].results["error"] == "The run was canceled."

    @pytest.mark.parametrize(("name", "kind"), [("acme", "maintenance"), ("stranger", "initial"), (None, "initial")])
    def test_what_is_no_sync_of_this_fleet_is_left_alone(
        self, fleet: FleetOfTests, name: str | None, kind: str
    ) -> None:
        run = a_run(fleet, name, dg.DagsterRunStatus.STARTED, kind=kind)
        event = fleet.instance.report_run_failed(run)

        assert isinstance(tick_about(failed_runs, fleet, *ended(fleet, run, event)), dg.SkipReason)

        with fleet.control() as control:
            assert control.results() == []


class TestDeadRuns:
    def test_a_silent_run_is_reported_as_failed_once(self, fleet: FleetOfTests) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.STARTED)
        with fleet.control() as control:
            control.heartbeats.beat("acme", run_id=run.run_id, holder="worker-7:123", at=LONG_AGO)

        tick(dead_runs, fleet)

        found = fleet.instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.FAILURE
        events = [entry.dagster_event for entry in fleet.instance.all_logs(run.run_id) if entry.dagster_event]
        assert "worker-7:123 gave no sign of life" in (events[-1].message or "")
        with fleet.control() as control:
            assert control.heartbeats.all() == []

    def test_one_that_gives_signs_of_life_goes_on(self, fleet: FleetOfTests) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.STARTED)
        with fleet.control() as control:
            control.heartbeats.beat("acme", run_id=run.run_id, holder="worker-7:123", at=datetime.now(UTC))

        tick(dead_runs, fleet)

        found = fleet.instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.STARTED

    def test_one_whose_process_holds_its_lock_here_goes_on_though_its_messages_do_not_arrive(
        self, fleet: FleetOfTests
    ) -> None:
        run = a_run(fleet, "acme", dg.DagsterRunStatus.STARTED)
        with fleet.control() as control:
            control.heartbeats.beat("acme", run_id=run.run_id, holder="here:1", at=LONG_AGO)
        folder = fleet.load().settings.integration_folder("acme")

        with writer_lock(folder, integration="acme", run_id=run.run_id, purpose="sync"):
            tick(dead_runs, fleet)

        found = fleet.instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.STARTED

    def test_what_a_killed_command_left_behind_is_cleared(self, fleet: FleetOfTests) -> None:
        with fleet.control() as control:
            control.heartbeats.beat("acme", run_id="no-run-of-dagster", holder="here:1", at=LONG_AGO)

        tick(dead_runs, fleet)

        with fleet.control() as control:
            assert control.heartbeats.all() == []
