"""Of two integrations, one has an object that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline.core.errors import Rejected
from cloudsync_pipeline.partitions import VERDICT_TAG
from cloudsync_tests.dagster_fleet import FleetOfTests, Result, a_fleet, evaluations, failure, materialized, metadata


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path_factory.mktemp("fleet"), "acme", "beta") as fleet:
        for name in ("acme", "beta"):
            fleet.storage(name).put("good.txt", b"good")
            fleet.storage(name).put("bad.txt", b"bad")
        fleet.storage("acme").faults.add("read", Rejected("No."), key="bad.txt", times=None)
        yield fleet


@pytest.fixture(scope="module")
def broken(fleet: FleetOfTests) -> Result:
    return fleet.run("initial_sync", "acme")


def test_the_run_fails_after_everything_else_was_done_and_reported(fleet: FleetOfTests, broken: Result) -> None:
    assert not broken.success
    assert materialized(broken)[-1] == "sync_report"
    assert fleet.files("acme") == {"good.txt": b"good"}
    assert metadata(broken, "executed_operations")["failed"] == 1
    text, told = failure(broken, "sync_report")
    assert text.startswith("acme: 1 operations failed")
    assert told["verdict"] == "partial"
    run = fleet.instance.get_run_by_id(broken.run_id)
    assert run is not None
    assert run.tags[VERDICT_TAG] == "partial"


def test_another_integrations_pass_does_not_hide_the_failed_check(fleet: FleetOfTests, broken: Result) -> None:
    assert fleet.run("initial_sync", "beta").success

    found = evaluations(broken)["failed_operations"]
    assert (found.passed, found.partition, found.severity) == (False, "acme", dg.AssetCheckSeverity.ERROR)
    assert "bad.txt" in str(found.metadata["examples"].value)
    key = dg.AssetCheckKey(dg.AssetKey("executed_operations"), "failed_operations")
    by_partition = {
        record.partition: record.event.asset_check_evaluation.passed  # type: ignore[union-attr]
        for record in fleet.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        if record.event is not None
    }
    assert by_partition == {"acme": False, "beta": True}


def test_the_next_run_pays_the_debt(fleet: FleetOfTests, broken: Result) -> None:
    fleet.storage("acme").faults.clear()

    again = fleet.run("reconcile", "acme")

    assert again.success
    assert fleet.files("acme") == {"good.txt": b"good", "bad.txt": b"bad"}
    assert evaluations(again)["failed_operations"].passed


def test_what_keeps_failing_is_in_quarantine_for_the_check_and_the_report_with_reason_tries_and_next_try(
    tmp_path: Path,
) -> None:
    with a_fleet(tmp_path) as fleet:
        fleet.add("acme", extra="policy: {quarantine_after: 1}")
        fleet.storage("acme").put("bad.txt", b"bad")
        fleet.storage("acme").faults.add("read", Rejected("No."), key="bad.txt", times=None)

        fleet.run("initial_sync", "acme")
        waiting = fleet.run("reconcile", "acme")

        assert waiting.success
        assert metadata(waiting, "sync_report")["quarantined"] == 1
        found = evaluations(waiting)["quarantine"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        for table in (found.metadata["examples"].value, metadata(waiting, "sync_report")["quarantine"]):
            [row] = [line for line in str(table).splitlines() if "bad.txt" in line]
            path, why, runs, since, again = (cell.strip() for cell in row.strip("|").split("|"))
            assert (path, runs) == ("bad.txt", "1")
            assert "No." in why
            assert again > since
