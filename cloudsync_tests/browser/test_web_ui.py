"""What a data engineer sees of the project in Dagster's web UI, in a real browser on real runs."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.demo.world import WITH_FEED, WITHOUT_FEED
from cloudsync_tests.browser.pages import WebInterface
from cloudsync_tests.browser.past import Past

ASSETS = {
    "bucket_listing",
    "change_events",
    "state_snapshot",
    "state_diff",
    "executed_operations",
    "sync_report",
}
EDGES = {
    ("bucket_listing", "state_snapshot"),
    ("change_events", "state_snapshot"),
    ("state_snapshot", "state_diff"),
    ("state_diff", "executed_operations"),
    ("executed_operations", "sync_report"),
}


def test_the_graph_shows_every_asset_and_how_they_depend_on_each_other(web: WebInterface) -> None:
    graph = web.asset_graph()
    assert set(graph.assets) == ASSETS
    assert graph.edges == EDGES


def test_the_graph_tells_how_many_partitions_have_been_materialized(web: WebInterface) -> None:
    shown = web.asset_graph().assets
    # Only one of the two integrations has an event feed.
    assert "50% filled" in shown["change_events"]
    for asset in ASSETS - {"change_events"}:
        assert "100% filled" in shown[asset], asset


def test_every_integration_is_a_partition(web: WebInterface) -> None:
    assert web.partitions("sync_report") == {"Failed": "0", "Materialized": "2", "Materializing": "0", "Missing": "0"}


@pytest.mark.parametrize(
    ("integration", "which", "assets"),
    [
        (WITHOUT_FEED, 0, ASSETS - {"change_events"}),
        (WITH_FEED, 1, ASSETS - {"bucket_listing"}),
        (WITHOUT_FEED, 1, ASSETS - {"change_events"}),
    ],
    ids=["initial_sync", "incremental_sync", "reconcile"],
)
def test_a_run_shows_the_steps_of_its_job_succeeded(
    web: WebInterface, past: Past, integration: str, which: int, assets: set[str]
) -> None:
    run_id = past.runs[integration][which].run_id
    assert run_id is not None
    run = web.run(run_id)
    assert run.status == "SUCCESS"
    assert run.steps["Succeeded"] >= assets
    assert not (ASSETS - assets) & run.steps["Succeeded"]
    assert not run.steps["Errored"]


def test_a_run_is_tagged_with_its_integration_its_kind_and_its_verdict(web: WebInterface, past: Past) -> None:
    run_id = past.runs[WITH_FEED][1].run_id
    assert run_id is not None
    tags = {f"partition: {WITH_FEED}", "cloudsync/kind: incremental", "cloudsync/verdict: in_sync"}
    assert web.tags_of_run(run_id) >= tags


def test_a_plan_shows_its_counts_and_a_table_of_examples(web: WebInterface) -> None:
    shown = web.metadata("state_diff", WITH_FEED)
    assert shown["dagster/table_name"] == f"{WITH_FEED}.operations"
    assert (shown["planned_create"], shown["planned_delete"], shown["planned_move"]) == ("12", "6", "8")
    examples = shown["examples"]
    assert isinstance(examples, list)
    assert examples[0] == ["operation", "path", "new path", "reason", "held"]
    moves = [row for row in examples[1:] if row[0] == "move"]
    assert moves
    for _, path, new_path, *_ in moves:
        assert path.startswith("reports/")
        assert new_path.endswith(path.rpartition("/")[2])


def test_the_overview_shows_the_newest_events_as_a_table(web: WebInterface) -> None:
    shown = web.latest_metadata("change_events")
    examples = shown["examples"]
    assert isinstance(examples, list)
    assert examples[0] == ["event", "key", "new key", "occurred at", "malformed"]
    assert len(examples) == 11
    assert shown["by_type"] == [
        ["event", "count"],
        ["change_permission", "5"],
        ["create", "22"],
        ["delete", "6"],
        ["move", "4"],
        ["rename", "4"],
    ]


@pytest.mark.parametrize(
    ("asset", "numbers"),
    [
        ("bucket_listing", {"objects", "bytes", "seconds"}),
        ("state_snapshot", {"objects", "added", "removed"}),
        ("state_diff", {"operations", "bytes", "seconds"}),
        ("executed_operations", {"done", "bytes", "seconds", "bytes_per_second"}),
        ("sync_report", {"files", "operations_done", "bytes_sent"}),
    ],
)
def test_numbers_are_plotted_over_time(web: WebInterface, asset: str, numbers: set[str]) -> None:
    plots = web.plots(asset)
    assert set(plots) >= numbers
    for name in numbers:
        # A line from the first run to the last one, and no flat one, since the two differ.
        assert plots[name].width > 0.5, name
        assert plots[name].height > 0.1, name


def test_checks_are_shown_with_their_results(web: WebInterface) -> None:
    assert web.checks("executed_operations") == {
        "failed_operations": "Succeeded",
        "matches_file_manager": "Succeeded",
        "quarantine": "Succeeded",
    }
    assert web.checks("state_diff") == {"delete_guard": "Succeeded"}
