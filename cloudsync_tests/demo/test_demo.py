"""The whole demonstration, for real; and that it cleans up when it is interrupted."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cloudsync_pipeline.demo.names import UNHOLDABLE
from cloudsync_tests.demo.processes import started


@pytest.mark.timeout(400)
def test_the_demonstration_ends_with_both_ends_in_step_and_nothing_left_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with started("demo", "--json", output=tmp_path / "out", environment={"TMPDIR": str(temporary)}) as demo:
        assert demo.process.wait(360) == 0, demo.text()
        assert demo.descendants() == []
    outcome = json.loads(demo.text().splitlines()[-1])
    assert outcome["ok"] is True
    with_feed, without_feed = outcome["integrations"]

    # Real runs of real jobs.
    assert [run["job"] for run in with_feed["runs"]] == ["initial_sync", "incremental_sync"]
    assert [run["job"] for run in without_feed["runs"]] == ["initial_sync", "reconcile"]
    assert len({run["run_id"] for one in (with_feed, without_feed) for run in one["runs"]}) == 4
    changed = {"create": 12, "update": 10, "delete": 6, "move": 8}
    for one in (with_feed, without_feed):
        done = one["runs"][1]["operations"]
        assert {kind: done[kind] for kind in changed} == changed
    assert with_feed["runs"][1]["operations"]["set_permissions"] == 5

    for one in (with_feed, without_feed):
        assert one["compared"]["equal"] > 270
        assert one["compared"]["differing"] == {}
        assert all(check["ok"] for check in one["checks"].values())
    assert with_feed["quarantined"] == {}
    assert len(without_feed["quarantined"]) == 2
    assert set(without_feed["quarantined"]) <= set(UNHOLDABLE)
    assert without_feed["rclone_differences"] == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.timeout(200)
def test_ctrl_c_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with started("demo", output=tmp_path / "out", environment={"TMPDIR": str(temporary)}) as demo:
        demo.until(lambda: "Dagster job initial_sync" in demo.text(), 90)
        assert demo.descendants() != []
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(40) == 130, demo.text()
        assert demo.descendants() == []
    assert "Traceback" not in demo.text()
    assert list(temporary.iterdir()) == []
