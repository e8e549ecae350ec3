"""Each configured integration becomes a partition and gets one initial sync, again until one succeeded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline.control import RunResult
from cloudsync_pipeline.partitions import PARTITION_TAG, integrations
from cloudsync_pipeline.sensors.new_integrations import new_integrations
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet, a_run, tick


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path, "acme", "beta", partition=False) as fleet:
        yield fleet


def requested(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def test_new_integrations_become_partitions_and_get_an_initial_sync(fleet: FleetOfTests) -> None:
    result = tick(new_integrations, fleet)

    assert requested(result) == ["acme", "beta"]
    assert result.dynamic_partitions_requests == [integrations.build_add_request(["acme", "beta"])]


def test_one_with_a_queued_or_running_run_gets_no_second_one(fleet: FleetOfTests) -> None:
    a_run(fleet, "acme", dg.DagsterRunStatus.NOT_STARTED)
    a_run(fleet, "beta", dg.DagsterRunStatus.STARTED)

    assert requested(tick(new_integrations, fleet)) == []


def test_asking_again_uses_the_same_key_so_that_dagster_starts_nothing_twice(fleet: FleetOfTests) -> None:
    first, second = tick(new_integrations, fleet), tick(new_integrations, fleet)

    assert [r.run_key for r in first.run_requests or []] == [r.run_key for r in second.run_requests or []]


def test_after_a_failure_it_waits_and_asks_under_another_key(fleet: FleetOfTests) -> None:
    [first, _] = tick(new_integrations, fleet).run_requests or []
    now = datetime.now(UTC)
    with fleet.control() as control:
        control.record_result(RunResult("r1", "acme", "initial", "failed", now, now))
    assert requested(tick(new_integrations, fleet)) == ["beta"]

    with fleet.control() as control:
        long_ago = now - timedelta(days=1)
        control.record_result(RunResult("r1", "acme", "initial", "failed", long_ago, long_ago))
    requests = tick(new_integrations, fleet).run_requests or []
    [second] = [request for request in requests if request.partition_key == "acme"]

    assert second.run_key != first.run_key


def test_nothing_is_asked_once_one_succeeded(fleet: FleetOfTests) -> None:
    now = datetime.now(UTC)
    with fleet.control() as control:
        for name in ("acme", "beta"):
            control.ensure(name)
            control.record_result(RunResult(f"r-{name}", name, "initial", "in_sync", now, now))

    result = tick(new_integrations, fleet)

    assert requested(result) == []
    assert result.skip_reason is not None


def test_one_bad_file_stops_only_its_own_integration_and_is_named(fleet: FleetOfTests) -> None:
    fleet.write("broken", "storage: {type: memroy}")

    result = tick(new_integrations, fleet)

    assert requested(result) == ["acme", "beta"]
    with fleet.control() as control:
        assert [one.name for one in control.list()] == ["acme", "beta"]
        control.pause("acme", "later")
        control.pause("beta", "later")
    assert "broken" in str(tick(new_integrations, fleet).skip_reason)


def test_startup_syncs_can_be_turned_off(fleet: FleetOfTests) -> None:
    fleet.add("acme", extra="sync: {initial_sync_on_startup: false}", partition=False)

    assert requested(tick(new_integrations, fleet)) == ["beta"]


def test_a_removed_integration_loses_its_partition_and_gets_it_back_when_added_again(fleet: FleetOfTests) -> None:
    [first, _] = tick(new_integrations, fleet).run_requests or []
    fleet.instance.add_dynamic_partitions("integrations", ["acme", "beta"])
    with fleet.control() as control:
        control.remove("acme", "contract ended")
    result = tick(new_integrations, fleet)
    assert result.dynamic_partitions_requests == [integrations.build_delete_request(["acme"])]
    assert requested(result) == ["beta"]

    fleet.instance.delete_dynamic_partition("integrations", "acme")
    with fleet.control() as control:
        control.add_again("acme", now=datetime.now(UTC) + timedelta(seconds=2))
    result = tick(new_integrations, fleet)

    assert result.dynamic_partitions_requests == [integrations.build_add_request(["acme"])]
    assert first.run_key not in {request.run_key for request in result.run_requests or []}


def test_a_file_that_vanished_takes_nothing_away(fleet: FleetOfTests) -> None:
    tick(new_integrations, fleet)
    fleet.instance.add_dynamic_partitions("integrations", ["acme", "beta"])
    (fleet.folder / "integrations" / "acme.yaml").unlink()

    result = tick(new_integrations, fleet)

    assert not result.dynamic_partitions_requests
    assert requested(result) == ["beta"]


def test_the_partition_tag_is_the_one_that_dagster_sets(fleet: FleetOfTests) -> None:
    fleet.instance.add_dynamic_partitions("integrations", ["acme"])
    job = fleet.definitions().resolve_job_def("initial_sync")

    assert job.get_tags_for_partition_key("acme", selected_asset_keys=None)[PARTITION_TAG] == "acme"


def test_an_initial_sync_carries_its_integrations_owner_and_labels(fleet: FleetOfTests) -> None:
    fleet.add("acme", extra="owner: Storage team\ntags: {tier: gold}", partition=False)

    [acme, beta] = tick(new_integrations, fleet).run_requests or []

    assert acme.tags == {"cloudsync/owner": "Storage team", "cloudsync.tag/tier": "gold"}
    assert beta.tags == {}
