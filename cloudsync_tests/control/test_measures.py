"""What runs add up to: right although several processes tell it, and never going back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudsync_pipeline.control import Control, RunResult, measures
from cloudsync_pipeline.core.errors import ConfigError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REPORT = {
    "execution": {"done": {"create": 3, "move": 1}, "failed": {"create": 1}, "quarantined": {}},
    "statistics": {"files_processed": 3, "total_size": 4_000_000_000_000, "events_processed": 5},
    "drift": 2,
}


def a_result(run_id: str = "r1", seconds: float = 8, results: Mapping[str, Any] = REPORT, **changes: Any) -> RunResult:
    values: dict[str, Any] = {
        "run_id": run_id,
        "integration": "acme",
        "mode": "incremental",
        "verdict": "in_sync",
        "started_at": NOON - timedelta(seconds=seconds),
        "finished_at": NOON,
        "results": results,
    }
    return RunResult(**{**values, **changes})


def sums(control: Control, integration: str = "acme") -> dict[measures.Key, float]:
    return {(m.name, m.kind, m.status): m.value for m in control.measures() if m.integration == integration}


@pytest.fixture(autouse=True)
def _acme(control: Control) -> None:
    control.ensure("acme")
    control.ensure("other")


def test_runs_add_up(control: Control) -> None:
    control.record_result(a_result("r1"))
    control.record_result(a_result("r2", verdict="partial"))
    assert sums(control) == {
        ("runs", "incremental", "in_sync"): 1,
        ("runs", "incremental", "partial"): 1,
        ("operations", "create", "done"): 6,
        ("operations", "move", "done"): 2,
        ("operations", "create", "failed"): 2,
        ("files", "", ""): 6,
        ("bytes", "", ""): 8_000_000_000_000,
        ("events", "", ""): 10,
        ("drift", "", ""): 4,
        ("last_drift", "", ""): 2,
    }


def test_durations_are_counted_by_their_least_bound_for_the_whole_fleet(control: Control) -> None:
    for run_id, seconds, name in (("a", 8, "acme"), ("b", 10, "other"), ("c", 99_999, "acme")):
        control.record_result(a_result(run_id, seconds, integration=name))
    assert sums(control, "") == {
        ("duration", "incremental", "10"): 2,
        ("duration", "incremental", "+Inf"): 1,
        ("duration_sum", "incremental", ""): 100_017,
    }


def test_a_run_told_again_adds_only_what_it_did_more(control: Control) -> None:
    control.record_result(a_result(verdict="failed", results={"execution": {"done": {"create": 1}}}))
    control.record_result(a_result())
    control.record_result(a_result())
    found = sums(control)
    assert found["operations", "create", "done"] == 3
    assert found["runs", "incremental", "failed"] == 1
    assert ("runs", "incremental", "in_sync") not in found


def test_the_last_drift_is_that_of_the_newest_scan(control: Control) -> None:
    control.record_result(a_result("r1"))
    control.record_result(a_result("r2", results={"drift": 0}))
    control.record_result(a_result("r3", results={"drift": None}))
    assert sums(control)["last_drift", "", ""] == 0
    assert sums(control)["drift", "", ""] == 2


def test_what_is_no_number_adds_nothing(control: Control) -> None:
    strange = {"execution": {"done": ["create"]}, "statistics": {"total_size": "much", "files_processed": -1}}
    control.record_result(a_result(results=strange))
    assert {name for name, _, _ in sums(control)} == {"runs"}


def test_a_result_that_is_not_kept_adds_nothing(control: Control) -> None:
    with pytest.raises(ConfigError):
        control.record_result(a_result(integration="nobody"))
    assert control.measures() == []


def test_nothing_is_lost_when_many_tell_at_once(control: Control, url: str) -> None:
    def tell(worker: int) -> None:
        with Control.open(url) as own:
            for n in range(10):
                own.record_result(a_result(f"{worker}-{n}", integration=("acme", "other")[n % 2]))

    threads = [threading.Thread(target=tell, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums(control)["files", "", ""] + sums(control, "other")["files", "", ""] == 120
    assert sums(control, "")["duration", "incremental", "10"] == 40


def test_a_run_is_found_by_its_id(control: Control) -> None:
    control.record_result(a_result("r1"))
    found = control.result("r1")
    assert found is not None
    assert found.results["drift"] == 2
    assert control.result("r2") is None
