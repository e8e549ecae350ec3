"""What goes wrong is told in Dagster as a person needs it, and is never a plain success."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.control import holder, writer_lock
from cloudsync_pipeline.core.errors import AccessDenied
from cloudsync_pipeline.lake import runs
from cloudsync_pipeline.partitions import VERDICT_TAG
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet, evaluations, failure, materialized, metadata

REFUSED = AccessDenied("The credentials may not list this bucket.", remedy="Allow s3:ListBucket.")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path, "acme", "beta") as fleet:
        yield fleet


def test_a_refused_listing_fails_the_run_with_what_happened_and_what_to_do(fleet: FleetOfTests) -> None:
    fleet.storage("acme").faults.add("list", REFUSED)

    result = fleet.run("initial_sync", "acme")

    assert not result.success
    assert materialized(result) == []
    text, told = failure(result, "bucket_listing")
    assert text == "acme: The credentials may not list this bucket. Allow s3:ListBucket."
    assert told == {
        "integration": "acme",
        "error": "AccessDenied",
        "retryable": False,
        "remedy": "Allow s3:ListBucket.",
    }
    with fleet.control() as control:
        found = control.get("acme")
        assert (found.last_run_id, found.last_verdict, found.initial_attempts) == (result.run_id, "failed", 1)
    assert [report["verdict"] for report in fleet.held("acme").reports] == ["failed"]


def test_a_second_writer_is_told_who_the_first_is_and_the_attempt_is_recorded(fleet: FleetOfTests) -> None:
    folder = fleet.load().settings.integration_folder("acme")
    with writer_lock(folder, integration="acme", run_id="run-of-somebody", purpose="restore"):
        result = fleet.materialize("change_events", name="acme")

    text, told = failure(result, "change_events")
    assert "run-of-somebody" in text
    assert (told["error"], told["retryable"]) == ("LockHeld", True)
    with fleet.control() as control:
        [recorded] = control.results("acme")
        assert recorded.run_id == result.run_id


def test_a_broken_configuration_fails_only_its_own_integration(fleet: FleetOfTests) -> None:
    fleet.write("acme", "storage: {type: memroy}\nfile_manager: {type: memory}")

    text, told = failure(fleet.materialize("change_events", name="acme"), "change_events")

    assert "acme" in text
    assert told["error"] == "ConfigError"
    assert fleet.materialize("change_events", name="beta").success


def test_held_deletes_warn_and_fail_no_run(fleet: FleetOfTests) -> None:
    for number in range(3):
        fleet.storage("acme").put(f"{number}.txt", b"x")
    assert fleet.run("initial_sync", "acme").success
    for number in range(3):
        fleet.storage("acme").delete(f"{number}.txt")

    result = fleet.run("reconcile", "acme")

    assert result.success
    assert len(fleet.files("acme")) == 3
    held = evaluations(result)["delete_guard"]
    assert (held.passed, held.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert held.metadata["held"].value == 3
    assert metadata(result, "state_diff")["held"] == 3
    run = fleet.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[VERDICT_TAG] == "held"


def test_terminate_amid_an_execution_keeps_what_was_done_and_frees_the_integration(fleet: FleetOfTests) -> None:
    fleet.storage("acme").put("a.txt", b"first")
    fleet.storage("acme").put("b.txt", b"second")

    def interrupt() -> None:
        # What Dagster does: it notes the request, and signals the run's process.
        [running] = fleet.instance.get_runs()
        fleet.instance.report_run_canceling(running)
        fleet.storage("acme").faults.clear()
        os.kill(os.getpid(), signal.SIGINT)

    fleet.storage("acme").faults.add("read", interrupt, key="b.txt")
    before = signal.getsignal(signal.SIGINT)

    assert not fleet.run("initial_sync", "acme").success

    assert signal.getsignal(signal.SIGINT) is before
    assert holder(fleet.load().settings.integration_folder("acme")) is None
    with wiring.open_lake(fleet.load().settings, "acme", read_only=True) as lake:
        [stored] = runs.newest(lake, 10)
        assert (stored.verdict, stored.finished_at is None) == ("failed", False)
    [run] = fleet.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert fleet.run("reconcile", "acme").success
    assert fleet.files("acme") == {"a.txt": b"first", "b.txt": b"second"}
