"""Checks see what a run's success does not say, each integration by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.assets import checks
from cloudsync_pipeline.assets.looks import listing_complete
from cloudsync_pipeline.core.errors import AccessDenied
from cloudsync_pipeline.partitions import PARTITION_TAG
from cloudsync_tests.dagster_fleet import FleetOfTests, Result, a_fleet, evaluations, failure


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTests]:
    """Two integrations that are in sync."""
    with a_fleet(tmp_path_factory.mktemp("fleet"), "acme", "beta") as fleet:
        for name in ("acme", "beta"):
            fleet.storage(name).put("a.txt", b"a")
            fleet.storage(name).put("b.txt", b"bb")
            assert fleet.run("initial_sync", name).success
        yield fleet


def evaluate(fleet: FleetOfTests, name: str | None, check: dg.AssetChecksDefinition) -> Result:
    """Some checks by themselves, without materializing anything."""
    return (
        dg.Definitions(
            assets=fleet.definitions().assets,
            asset_checks=[check],
            jobs=[dg.define_asset_job("only_checks", selection=dg.AssetSelection.checks(check))],
            resources=fleet.resources(),
            executor=dg.in_process_executor,
        )
        .resolve_job_def("only_checks")
        .execute_in_process(instance=fleet.instance, tags={PARTITION_TAG: name} if name else {}, raise_on_error=False)
    )


def test_a_file_that_was_changed_behind_our_back_is_found_for_its_integration_only(fleet: FleetOfTests) -> None:
    fleet.held("acme").files["acme/a.txt"].content = b"tampered"
    del fleet.held("acme").files["acme/b.txt"]

    found = evaluations(evaluate(fleet, "acme", checks.sample))["matches_file_manager"]
    other = evaluations(evaluate(fleet, "beta", checks.sample))["matches_file_manager"]

    assert (found.partition, found.passed, found.metadata["different"].value) == ("acme", False, 2)
    assert (found.metadata["missing"].value, found.metadata["content"].value) == (1, 1)
    assert "a.txt" in str(found.metadata["examples"].value)
    assert (other.partition, other.passed, other.metadata["compared"].value) == ("beta", True, 2)


def test_an_end_that_does_not_answer_is_named_with_what_to_do(fleet: FleetOfTests) -> None:
    fleet.storage("acme").faults.add("health", AccessDenied("The key expired.", remedy="Renew it."))

    found = evaluations(evaluate(fleet, "acme", checks.ends))["ends_reachable"]

    assert not found.passed
    assert found.description == "storage: The key expired. Renew it."
    assert found.metadata["file_manager"].value == "ok"


def test_a_check_that_cannot_look_fails_itself_and_not_the_run(fleet: FleetOfTests) -> None:
    fleet.add("fresh")

    result = evaluate(fleet, "fresh", checks.stored_state)

    assert result.success
    assert len(evaluations(result)) == 5
    for found in evaluations(result).values():
        assert not found.passed
        assert found.severity is dg.AssetCheckSeverity.WARN
        assert (found.description or "").startswith("This could not be checked:")


def test_a_check_without_an_integration_says_how_to_name_one(fleet: FleetOfTests) -> None:
    text, _ = failure(evaluate(fleet, None, checks.in_time), "in_time")

    assert PARTITION_TAG in text


def test_a_listing_that_lost_a_part_is_not_complete(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        fleet.storage("acme").put("a.txt", b"a")
        result = fleet.materialize("bucket_listing", name="acme")
        assert evaluations(result)["listing_complete"].passed

        with wiring.open_lake(fleet.load().settings, "acme", read_only=True) as lake:
            for part in lake.staging.glob("*/*.parquet"):
                part.unlink()
            look = listing_complete(lake)

        assert (look.passed, look.why) == (False, "0 of 1 objects are staged.")
