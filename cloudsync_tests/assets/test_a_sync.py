"""A customer's objects become the company's files, asset by asset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsync_pipeline.core.events import Event, EventType
from cloudsync_pipeline.partitions import VERDICT_TAG
from cloudsync_tests.dagster_fleet import FleetOfTests, Result, a_fleet, evaluations, materialized, metadata

FROM_LISTING = ["bucket_listing", "state_snapshot", "state_diff", "executed_operations", "sync_report"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path_factory.mktemp("fleet"), "acme", "beta") as fleet:
        fleet.storage("acme").put("report.txt", b"numbers")
        fleet.storage("acme").put("a|b`_.txt", b"odd")
        yield fleet


@pytest.fixture(scope="module")
def initial(fleet: FleetOfTests) -> Result:
    return fleet.run("initial_sync", "acme")


@pytest.fixture(scope="module")
def incremental(fleet: FleetOfTests, initial: Result) -> Result:
    fleet.storage("acme").put("new.txt", b"news")
    fleet.storage("acme").put("unannounced.txt", b"quiet")
    fleet.feed("acme").publish(Event(identity="1", event_type=EventType.CREATE, key="new.txt"))
    return fleet.run("incremental_sync", "acme")


def test_the_initial_sync_starts_at_the_listing_and_brings_every_object_over(
    fleet: FleetOfTests, initial: Result
) -> None:
    assert initial.success
    assert materialized(initial) == FROM_LISTING
    assert fleet.files("acme")["report.txt"] == b"numbers"
    assert fleet.files("acme")["a|b`_.txt"] == b"odd"
    assert fleet.files("beta") == {}


def test_the_file_manager_and_the_fleet_are_told_and_the_run_carries_the_verdict(
    fleet: FleetOfTests, initial: Result
) -> None:
    assert fleet.held("acme").reports[0]["verdict"] == "in_sync"
    run = fleet.instance.get_run_by_id(initial.run_id)
    assert run is not None
    assert run.tags[VERDICT_TAG] == "in_sync"
    with fleet.control() as control:
        assert initial.run_id in {result.run_id for result in control.results("acme")}
        assert control.get("acme").initial_done


def test_every_asset_tells_rows_columns_and_numbers_that_plot(initial: Result) -> None:
    for asset in FROM_LISTING:
        told = metadata(initial, asset)
        assert told["dagster/row_count"] == told["dagster/partition_row_count"]
        assert told["dagster/table_name"].startswith("acme.")
        assert told["dagster/column_schema"].columns
        assert isinstance(told["seconds"], float)
    assert metadata(initial, "bucket_listing")["objects"] == 2
    assert metadata(initial, "state_snapshot")["owed"] == 2
    assert metadata(initial, "state_diff")["planned_create"] == 2
    assert metadata(initial, "executed_operations")["done_create"] == 2
    assert metadata(initial, "executed_operations")["bytes"] == len(b"numbers") + len(b"odd")
    assert metadata(initial, "sync_report")["files"] == 2


def test_a_hostile_key_stays_in_its_cell_of_the_examples(initial: Result) -> None:
    table = metadata(initial, "state_diff")["examples"]
    rows = [line for line in table.splitlines() if line.startswith("| create")]
    assert len(rows) == 2
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)


def test_all_checks_pass_after_a_sync_that_went_well(initial: Result) -> None:
    found = evaluations(initial)
    assert found.keys() == {
        "listing_complete", "ends_reachable", "drift", "delete_guard", "failed_operations", "quarantine",
        "matches_file_manager",
        "overdue",
    }  # fmt: skip
    assert all(one.passed and one.partition == "acme" for one in found.values())


def test_an_incremental_sync_starts_at_the_events_and_asks_for_what_they_name(
    fleet: FleetOfTests, incremental: Result
) -> None:
    assert incremental.success
    assert materialized(incremental) == ["change_events", *FROM_LISTING[1:]]
    assert fleet.files("acme")["new.txt"] == b"news"
    assert "unannounced.txt" not in fleet.files("acme")
    assert metadata(incremental, "change_events")["new"] == 1
    assert metadata(incremental, "state_snapshot")["observed"] == 1
    assert fleet.feed("acme").acknowledged == ["1"]


def test_an_incremental_sync_leaves_out_checks_that_ask_both_ends(incremental: Result) -> None:
    assert evaluations(incremental).keys() == {"drift", "delete_guard", "failed_operations", "quarantine", "overdue"}


def test_data_versions_stay_while_the_data_do(fleet: FleetOfTests, incremental: Result) -> None:
    again = fleet.run("incremental_sync", "acme")
    before, now = _versions(incremental), _versions(again)
    assert again.success
    assert metadata(again, "executed_operations")["operations"] == 0
    for asset in ("change_events", "state_snapshot", "executed_operations"):
        assert now[asset] == before[asset]
    assert now["sync_report"] != before["sync_report"]


def test_a_full_scan_can_be_asked_of_a_run_that_starts_at_the_events(fleet: FleetOfTests, incremental: Result) -> None:
    result = fleet.run("incremental_sync", "acme", options={"full_scan": True})
    assert result.success
    assert metadata(result, "state_snapshot")["scanned"] is True
    assert fleet.files("acme")["unannounced.txt"] == b"quiet"


def _versions(result: Result) -> dict[str, str]:
    return {
        event.asset_key.to_user_string(): (event.materialization.tags or {})["dagster/data_version"]
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
