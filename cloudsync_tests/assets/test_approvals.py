"""Held deletes in Dagster: a run that approves exactly one plan, and drift that a scan finds."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet, evaluations, failure, metadata


def _hold(fleet: FleetOfTests, name: str) -> str:
    """Empty a bucket of three objects; returns the plan that holds their deletes."""
    for key in ("a", "b", "c"):
        fleet.storage(name).put(key, key.encode())
    assert fleet.run("initial_sync", name).success
    for key in ("a", "b", "c"):
        fleet.storage(name).delete(key)
    held = fleet.run("reconcile", name)
    assert held.success
    assert not evaluations(held)["delete_guard"].passed
    assert "approve_plan" in str(evaluations(held)["delete_guard"].metadata["remedy"].value)
    return str(evaluations(held)["delete_guard"].metadata["plan"].value)


def test_a_run_can_approve_exactly_the_plan_that_it_names(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme", "beta") as fleet:
        plans = {name: _hold(fleet, name) for name in ("acme", "beta")}

        approved = fleet.run("reconcile", "acme", options={"approve_plan": plans["acme"]})

        assert approved.success
        assert metadata(approved, "executed_operations")["done_delete"] == 3
        assert evaluations(approved)["delete_guard"].passed
        assert fleet.files("acme") == {}
        assert sorted(fleet.files("beta")) == ["a", "b", "c"]


def test_execution_materialized_alone_refuses_what_was_not_approved(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        plan = _hold(fleet, "acme")

        assert fleet.materialize("executed_operations", name="acme").success
        assert sorted(fleet.files("acme")) == ["a", "b", "c"]

        alone = fleet.materialize("executed_operations", name="acme", options={"approve_plan": plan})
        assert alone.success
        assert fleet.files("acme") == {}


def test_approving_a_plan_of_which_nothing_waits_fails_the_run_and_says_so(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        assert fleet.run("initial_sync", "acme").success
        refused = fleet.run("reconcile", "acme", options={"approve_plan": "no-such-plan"})
        assert not refused.success
        assert "no-such-plan" in failure(refused, "state_diff")[0]


def test_what_a_scan_finds_and_no_event_announced_warns_as_drift(tmp_path: Path) -> None:
    with a_fleet(tmp_path, "acme") as fleet:
        assert evaluations(fleet.run("initial_sync", "acme"))["drift"].passed
        fleet.storage("acme").put("unannounced", b"x")
        found = evaluations(fleet.run("reconcile", "acme"))["drift"]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert found.metadata["drift"].value == 1
        assert evaluations(fleet.run("reconcile", "acme"))["drift"].passed
