"""Snapshots, what changed between them, and which of them a time means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudsync_pipeline.core.errors import SnapshotGone, StateError
from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.maintenance import compact, expire
from cloudsync_tests.lake.builders import NOON, paths, put_files, run_sql, set_snapshot_time


def test_every_commit_can_be_read_again(lake: Lake) -> None:
    first, second = put_files(lake, "a"), put_files(lake, "b")
    third = run_sql(lake, "DELETE FROM files WHERE path = 'a'")
    assert [paths(lake, snapshot) for snapshot in (first, second, third)] == [["a"], ["a", "b"], ["b"]]


def test_snapshots_come_newest_first_with_who_and_what(lake: Lake) -> None:
    put_files(lake, "a", run_id="run-1")
    newest = put_files(lake, "b", run_id="run-2")
    listed = lake.snapshots(2)
    assert [snapshot.author for snapshot in listed] == ["run-2", "run-1"]
    assert listed[0].id == newest == lake.current_snapshot()
    assert listed[0].time.tzinfo is UTC
    assert listed[0].time > listed[1].time


def test_a_time_means_the_newest_snapshot_at_or_before_it(lake: Lake) -> None:
    first, second = put_files(lake, "a"), put_files(lake, "b")
    for snapshot in range(first):
        set_snapshot_time(lake, snapshot, NOON - timedelta(days=1))
    set_snapshot_time(lake, first, NOON)
    assert lake.as_of(time=NOON) == first
    assert lake.as_of(time=NOON + timedelta(hours=1)) == first
    assert lake.as_of(time=datetime.now(UTC) + timedelta(hours=1)) == second
    assert lake.as_of(time=NOON - timedelta(seconds=1)) == first - 1
    assert lake.as_of() == lake.as_of(snapshot=second) == second


def test_a_time_without_zone_is_refused(lake: Lake) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        lake.as_of(time=NOON.replace(tzinfo=None))


def test_what_is_not_kept_is_gone_with_a_remedy(lake: Lake) -> None:
    put_files(lake, "a")
    with pytest.raises(SnapshotGone, match=r"acme: Snapshot 99 has expired.*The oldest is 1"):
        lake.as_of(snapshot=99)
    with pytest.raises(SnapshotGone, match=r"The state of 2020-01-01 00:00:00 UTC has expired"):
        lake.as_of(time=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(SnapshotGone):
        paths(lake, 99)


def test_changes_between_two_snapshots_in_the_order_of_commits(lake: Lake) -> None:
    start = put_files(lake, "a", "b")
    put_files(lake, "c")
    updated = run_sql(lake, "UPDATE files SET size = 5 WHERE path = 'a'")
    end = run_sql(lake, "DELETE FROM files WHERE path = 'b'")
    put_files(lake, "later")
    found = [(change.kind, change.row["path"], change.row["size"]) for change in lake.changes("files", start, end)]
    assert found == [
        ("insert", "c", 1),
        ("update_preimage", "a", 1),
        ("update_postimage", "a", 5),
        ("delete", "b", 1),
    ]
    images = [change for change in lake.changes("files", start, end) if change.snapshot_id == updated]
    assert len({change.row_id for change in images}) == 1
    assert all(change.row["confirmed_at"].tzinfo is UTC for change in images)


def test_changes_survive_compaction(lake: Lake) -> None:
    start = put_files(lake, "a")
    for path in "bcdef":
        put_files(lake, path)
    end = run_sql(lake, "DELETE FROM files WHERE path IN ('b', 'c', 'd')")
    before = [(change.kind, change.row["path"]) for change in lake.changes("files", start, end)]
    compact(lake, run_id="run-1")
    assert [(change.kind, change.row["path"]) for change in lake.changes("files", start, end)] == before
    assert list(lake.changes("files", end, lake.current_snapshot())) == []


def test_nothing_changes_between_a_snapshot_and_itself(lake: Lake) -> None:
    now = put_files(lake, "a")
    assert list(lake.changes("files", now, now)) == []


def test_changes_of_what_is_no_table_are_refused(lake: Lake) -> None:
    with pytest.raises(StateError, match=r"no table \"files'; --\".*It has meta, objects"):
        list(lake.changes("files'; --", 1, 1))


def test_a_data_version_is_the_last_snapshot_that_changed_a_row_of_the_tables(lake: Lake) -> None:
    assert lake.last_change("files") == 0
    changed = put_files(lake, "a")
    run_sql(lake, "INSERT INTO desired_permissions (path) VALUES ('a')")
    assert lake.last_change("files") == changed
    assert lake.last_change("files", "desired_permissions") == changed + 1


def test_a_data_version_stays_when_the_lake_is_compacted_and_its_snapshots_expire(lake: Lake) -> None:
    for path in "abc":
        changed = put_files(lake, path)
    compact(lake, run_id="run-1")
    later = datetime.now(UTC) + timedelta(days=30)
    expire(lake, later, timedelta(days=1), run_id="run-1")
    run_sql(lake, "INSERT INTO desired_permissions (path) VALUES ('a')")
    expire(lake, later, timedelta(days=1), run_id="run-1")
    with pytest.raises(SnapshotGone):
        lake.as_of(snapshot=changed)
    assert lake.last_change("files") == changed
    assert put_files(lake, "d") == lake.last_change("files")
