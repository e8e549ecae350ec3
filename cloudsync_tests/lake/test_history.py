"""Questions about a lake's past."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudsync_pipeline.core.errors import SnapshotGone, StateError
from cloudsync_pipeline.lake import Lake, history
from cloudsync_pipeline.lake.history import Difference
from cloudsync_tests.lake.builders import NOON, OWE, put_files, run_sql


def _keys(lake: Lake, **asked: object) -> list[str]:
    batches = history.rows_as_of(lake, "files", **asked)  # type: ignore[arg-type]
    return [str(path) for batch in batches for path in batch.column("path").to_pylist()]


def test_files_as_they_were_by_key_and_below_a_prefix(lake: Lake) -> None:
    first = put_files(lake, "b/2", "a", "b/1")
    put_files(lake, "b/3")
    assert _keys(lake, snapshot=first) == ["a", "b/1", "b/2"]
    assert _keys(lake, snapshot=first, prefix="b/") == ["b/1", "b/2"]
    assert _keys(lake, prefix="b/") == ["b/1", "b/2", "b/3"]
    assert _keys(lake, prefix="b/", after="b/1") == ["b/2", "b/3"]
    assert _keys(lake, prefix="b/%") == []
    with pytest.raises(SnapshotGone):
        _keys(lake, snapshot=99)


def test_one_file_as_it_was(lake: Lake) -> None:
    before = lake.current_snapshot()
    first = put_files(lake, "a", size=1)
    run_sql(lake, "UPDATE files SET size = 2")
    assert history.row_as_of(lake, "files", "a", snapshot=before) is None
    then, now = history.row_as_of(lake, "files", "a", snapshot=first), history.row_as_of(lake, "files", "a")
    assert then is not None
    assert now is not None
    assert (then["size"], now["size"], now["confirmed_at"]) == (1, 2, NOON)


def test_the_net_difference_of_two_snapshots(lake: Lake) -> None:
    start = put_files(lake, "changed", "removed", "same", "touched")
    run_sql(lake, "UPDATE files SET size = 2 WHERE path = 'changed'")
    run_sql(lake, "UPDATE files SET confirmed_at = now() WHERE path = 'touched'")
    run_sql(lake, "DELETE FROM files WHERE path = 'removed'")
    put_files(lake, "there and gone")
    run_sql(lake, "DELETE FROM files WHERE path = 'there and gone'")
    end = put_files(lake, "added")
    assert list(history.differences(lake, "files", start, end)) == [
        Difference("added", "added", None, 1),
        Difference("changed", "changed", 1, 2),
        Difference("removed", "removed", 1, None),
    ]
    assert [d.kind for d in history.differences(lake, "files", end, start)] == ["removed", "changed", "added"]


@pytest.mark.parametrize("table", ["runs", "files; DROP TABLE files"])
def test_tables_without_history_by_key_are_refused(lake: Lake, table: str) -> None:
    with pytest.raises(StateError, match="Ask for objects or files"):
        list(history.differences(lake, table, 1, 1))


def test_what_happened_to_a_path_newest_first(lake: Lake) -> None:
    for n, (identity, kind, key, new_key) in enumerate(
        [("e1", "create", "old", None), ("e2", "rename", "old", "new"), ("e3", "create", "other", None)]
    ):
        run_sql(
            lake,
            "INSERT INTO events (identity, event_type, key, new_key, received_at, run_id) VALUES (?, ?, ?, ?, ?, 'r1')",
            [identity, kind, key, new_key, NOON + timedelta(hours=n)],
        )
    run_sql(
        lake,
        "INSERT INTO outcomes (op_id, plan_id, kind, path, new_path, status, ended_at, error, error_kind, run_id) "
        "VALUES ('o1', 'p1', 'move', 'old', 'new', 'failed', ?, 'it is full', 'StorageFull', 'r1')",
        [NOON + timedelta(hours=5)],
    )
    run_sql(lake, OWE, ["new", "content"])
    found = history.of_path(lake, "new")
    assert [(h.what, h.kind, h.detail, h.other) for h in found] == [
        ("owed", "content", "", None),
        ("operation", "move", "failed: StorageFull: it is full", "old"),
        ("event", "rename", "received", "old"),
    ]
    assert [h.kind for h in history.of_path(lake, "old")] == ["move", "rename", "create"]
    assert len(history.of_path(lake, "old", limit=1)) == 1
