"""Small data files are joined before they are many, and nobody who reads can tell."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.lake import Lake, tidying
from cloudsync_tests.lake.builders import live_files, paths, put_files, run_sql


@pytest.fixture(autouse=True)
def _four_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "MANY_FILES", 4)


def test_the_small_files_of_a_table_are_joined_once_they_are_many(lake: Lake) -> None:
    snapshots = [put_files(lake, path) for path in "abc"]
    assert lake.tidy("t1") == {}
    assert lake.current_snapshot() == snapshots[-1]
    snapshots.append(put_files(lake, "d"))
    assert lake.tidy("t1") == {"files": (4, 1)}
    assert live_files(lake) == 1
    assert [paths(lake, snapshot) for snapshot in snapshots] == [["a"], ["a", "b"], ["a", "b", "c"], list("abcd")]
    assert lake.snapshots(1)[0].author == "t1"
    assert lake.tidy("t1") == {}


def test_large_files_are_not_written_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put_files(lake, *(f"many {number}" for number in range(5_000)))
    for path in "abcd":
        put_files(lake, path)
    monkeypatch.setattr(tidying, "SMALL_FILE", 10_000)
    assert lake.tidy("t1") == {"files": (4, 1)}
    assert live_files(lake) == 2
    assert len(paths(lake)) == 5_004


def test_rows_that_change_between_are_neither_doubled_nor_revived(lake: Lake) -> None:
    for round_ in range(6):
        for path in "abcdef":
            put_files(lake, f"{path}{round_}")
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"b{round_}"])
        run_sql(lake, "UPDATE files SET size = 2 WHERE path = ?", [f"c{round_}"])
        data_version = lake.last_change("files")
        assert "files" in lake.tidy("t1")
        assert lake.last_change("files") == data_version
        run_sql(lake, "UPDATE files SET size = size + 1 WHERE starts_with(path, 'c')")
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"d{round_}"])
    left = {f"{path}{round_}" for path in "acef" for round_ in range(6)}
    sizes = dict(lake.read("SELECT path, size FROM files"))
    assert set(sizes) == left
    assert len(paths(lake)) == len(left)
    assert [sizes[f"c{round_}"] for round_ in range(6)] == [8, 7, 6, 5, 4, 3]
    assert live_files(lake) < 20


def test_debts_that_came_and_went_leave_the_same_rows(lake: Lake) -> None:
    for number in range(12):
        run_sql(
            lake,
            "INSERT INTO owed (path, aspect, since, touched_at) SELECT unnest(?), 'content', now(), now()",
            [[f"{number}-{n}" for n in range(3)]],
        )
        run_sql(lake, "DELETE FROM owed WHERE path = ?", [f"{number}-0"])
        lake.tidy("t1")
    assert lake.scalar("SELECT count(*) FROM owed") == 24
    assert lake.scalar("SELECT count(DISTINCT path) FROM owed WHERE NOT ends_with(path, '-0')") == 24
