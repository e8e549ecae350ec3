"""Of two integrations, one has an object that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

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
