"""Where each job starts, what it leaves out, and how the queue tells its runs apart."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline.control import writer_lock
from cloudsync_pipeline.definitions import defs
from cloudsync_pipeline.partitions import INTEGRATIONS, KIND_TAG, SCAN_TAG, integrations
from cloudsync_tests.dagster_fleet import a_fleet, failure

AFTER = {"state_snapshot", "state_diff", "executed_operations", "sync_report"}


@pytest.fixture(scope="module")
def project() -> dg.Definitions:
    return defs()


@pytest.mark.parametrize(
    ("job", "start"),
    [("initial_sync", "bucket_listing"), ("reconcile", "bucket_listing"), ("incremental_sync", "change_events")],
)
def test_a_sync_starts_at_the_listing_or_at_the_events(project: dg.Definitions, job: str, start: str) -> None:
    found = project.resolve_job_def(job)

    assert {key.to_user_string() for key in found.asset_layer.executable_asset_keys} == {start, *AFTER}
    assert found.partitions_def == integrations
    assert found.executor_def is dg.in_process_executor


@pytest.mark.parametrize("job", ["initial_sync", "reconcile", "incremental_sync", "maintenance"])
def test_its_runs_carry_their_kind(project: dg.Definitions, job: str) -> None:
    assert project.resolve_job_def(job).run_tags[KIND_TAG] == job.removesuffix("_sync")


def test_scans_and_maintenance_give_way_to_incremental_syncs(project: dg.Definitions) -> None:
    tags = {job: project.resolve_job_def(job).run_tags for job in ("initial_sync", "reconcile", "incremental_sync")}

    assert "dagster/priority" not in tags["incremental_sync"]
    assert SCAN_TAG not in tags["incremental_sync"]
    for job in ("initial_sync", "reconcile"):
        assert int(tags[job]["dagster/priority"]) < 0
        assert tags[job][SCAN_TAG] == "full"
    assert int(project.resolve_job_def("maintenance").run_tags["dagster/priority"]) < 0


def test_assets_picked_by_hand_run_in_one_process_too(project: dg.Definitions) -> None:
    assert project.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor


def test_maintenance_works_on_one_lake_as_its_only_writer(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        fleet.storage("acme").put("a.txt", b"a")
        assert fleet.materialize("bucket_listing", "state_snapshot", name="acme").success

        done = fleet.run("maintenance", "acme")

        assert done.success
        [event] = [event for event in done.all_node_events if event.is_successful_output]
        assert int(str(event.step_output_data.metadata["files"].value)) > 0

        with writer_lock(
            fleet.load().settings.integration_folder("acme"), integration="acme", run_id="r1", purpose="sync"
        ):
            text, told = failure(fleet.run("maintenance", "acme"), "maintain_lake")
        assert "r1" in text
        assert told["error"] == "LockHeld"


def test_the_partitions_are_the_integrations() -> None:
    assert integrations.name == INTEGRATIONS
