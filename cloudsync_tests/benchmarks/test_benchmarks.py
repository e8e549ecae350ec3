"""Every benchmark runs, at a size at which its figures mean nothing; and what they say is said rightly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import chart
from benchmarks.__main__ import REGISTRY, main
from benchmarks.filling import DRAWN, Contents
from benchmarks.made_up import FOLDERS, layout, page
from benchmarks.measure import Contestant, Failed, Sample, run
from benchmarks.task import Goal
from cloudsync_pipeline.storage.s3.listing import parse_page

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.timeout(600)
def test_every_benchmark_runs_and_tells_how_it_stands_to_its_goals(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    drawn = tmp_path / "chart.svg"

    main(["--size=tiny", "--repeat=1", f"--work={tmp_path}", f"--output={results}", f"--chart={drawn}"])

    found = json.loads(results.read_text())
    assert set(found) == {benchmark.name for benchmark in REGISTRY}
    for name, one in found.items():
        assert one["tasks"], name
        assert {"cores", "processor"} <= set(one["machine"])
        assert one["versions"]["rclone"].startswith("rclone")
        for task in one["tasks"]:
            assert all(sample["wall"] > 0 for samples in task["samples"].values() for sample in samples)
            assert all(goal["ratio"] > 0 for goal in task["goals"])
    assert drawn.read_text().startswith("<?xml")


def test_the_best_of_several_peers_is_the_one_that_counts() -> None:
    samples = {"ours": [a_sample(3.0)], "slow": [a_sample(9.0)], "quick": [a_sample(2.0)]}

    assert Goal("", "ours", ("slow", "quick"), 1.0).ratio(samples) == pytest.approx(1.5)


def test_a_stage_of_ours_is_compared_with_the_whole_of_a_peer_that_tells_no_stages() -> None:
    samples = {"ours": [a_sample(3.0, {"listing": 1.0})], "peer": [a_sample(4.0)]}

    assert Goal("", "ours", ("peer",), 1.0, "listing").ratio(samples) == pytest.approx(0.25)


def test_a_command_that_fails_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="nobody"):
        run(Contestant("nobody", ["sh", "-c", "echo 'it is for nobody' >&2; exit 3"]), tmp_path / "log")


def test_a_chart_is_drawn_the_same_from_the_same_figures(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    goal = {"says": "a goal", "ratio": 0.5, "at_most": 1.0, "reached": True}
    results.write_text(json.dumps({"one": {"tasks": [{"goals": [goal]}]}}))

    chart.draw(results, tmp_path / "a.svg")
    chart.draw(results, tmp_path / "b.svg")

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_made_up_server_lists_every_object_once_whether_by_folder_or_not() -> None:
    objects = 41 * FOLDERS

    folders = parse_page(layout().encode(), prefix="", observed_at=NOW).prefixes
    by_folder = [key for folder in folders for key in keys_below(objects, folder)]

    assert len(set(by_folder)) == objects
    assert sorted(by_folder) == sorted(keys_below(objects, ""))


def keys_below(objects: int, prefix: str) -> list[str]:
    token: str | None = None
    keys: list[str] = []
    while True:
        found = parse_page(page(objects, prefix, token).encode(), prefix=prefix, observed_at=NOW)
        keys += found.keys
        token = found.next_token
        if token is None:
            return keys


def a_sample(wall: float, told: Mapping[str, float] | None = None) -> Sample:
    return Sample(wall, wall, 1, told or {})


def test_a_content_larger_than_can_be_drawn_at_once_is_made_whole_and_the_same_again() -> None:
    contents = Contents("large", 1, 2**31 // 8 + 5)
    assert contents.size > DRAWN
    body = contents.body(0)
    assert len(body) == contents.size
    assert body == contents.body(0)
    assert body[:64] != body[DRAWN : DRAWN + 64]
