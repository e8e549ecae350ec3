"""Each asset works by itself, from stored state: nothing passes between steps in memory."""

from __future__ import annotations

from pathlib import Path

from cloudsync_pipeline.partitions import VERDICT_TAG
from cloudsync_tests.dagster_fleet import a_fleet, materialized, metadata


def test_each_asset_can_be_materialized_in_a_run_of_its_own_and_an_old_plan_is_made_anew(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        fleet.storage("acme").put("report.txt", b"old")
        assert metadata(fleet.materialize("bucket_listing", name="acme"), "bucket_listing")["objects"] == 1
        assert metadata(fleet.materialize("state_snapshot", name="acme"), "state_snapshot")["scanned"] is True
        assert metadata(fleet.materialize("state_diff", name="acme"), "state_diff")["planned_create"] == 1
        assert fleet.files("acme") == {}

        fleet.storage("acme").put("report.txt", b"newer")
        assert fleet.materialize("bucket_listing", "state_snapshot", name="acme").success
        done = fleet.materialize("executed_operations", name="acme")

        assert metadata(done, "executed_operations")["done_create"] == 1
        assert fleet.files("acme") == {"report.txt": b"newer"}


def test_a_dry_run_shows_the_plan_and_sends_nothing_and_a_first_sync_scans_whatever_was_asked(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        fleet.storage("acme").put("report.txt", b"numbers")

        dry = fleet.run("incremental_sync", "acme", options={"dry_run": True})

        assert dry.success
        assert metadata(dry, "state_diff")["planned_create"] == 1
        assert metadata(dry, "state_diff")["dry_run"] is True
        assert metadata(dry, "sync_report")["verdict"] == "planned"
        assert fleet.files("acme") == {}
        assert fleet.held("acme").reports == []
        run = fleet.instance.get_run_by_id(dry.run_id)
        assert run is not None
        assert run.tags[VERDICT_TAG] == "planned"
        with fleet.control() as control:
            assert not control.get("acme").initial_done

        wet = fleet.run("incremental_sync", "acme")

        assert wet.success
        assert "bucket_listing" not in materialized(wet)
        assert fleet.files("acme") == {"report.txt": b"numbers"}
