"""Small data files are joined before they are many, and nobody who reads can tell."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.lake import Lake, tidying
from cloudsync_pipeline.lake.attach import METADATA
from cloudsync_pipeline.lake.maintenance import compact
from cloudsync_pipeline.lake.tidying import tidy
from cloudsync_tests.lake.builders import live_files, parquet_files, paths, put_files, run_sql


@pytest.fixture(autouse=True)
def _four_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "MANY_FILES", 4)


def test_the_small_files_of_a_table_are_joined_once_they_are_many(lake: Lake) -> None:
    snapshots = [put_files(lake, path) for path in "abc"]
    assert tidy(lake, "t1") == {}
    assert lake.current_snapshot() == snapshots[-1]
    snapshots.append(put_files(lake, "d"))
    assert tidy(lake, "t1") == {"files": (4, 1)}
    assert live_files(lake) == 1
    assert [paths(lake, snapshot) for snapshot in snapshots] == [["a"], ["a", "b"], ["a", "b", "c"], list("abcd")]
    assert lake.snapshots(1)[0].author == "t1"
    assert tidy(lake, "t1") == {}


def test_large_files_are_not_written_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put_files(lake, *(f"many {number}" for number in range(5_000)))
    for path in "abcd":
        put_files(lake, path)
    monkeypatch.setattr(tidying, "SMALL_FILE", 10_000)
    assert tidy(lake, "t1") == {"files": (4, 1)}
    assert live_files(lake) == 2
    assert len(paths(lake)) == 5_004


def test_files_with_deleted_rows_are_written_anew_and_then_joined_with_the_others(lake: Lake) -> None:
    snapshots = []
    for number in range(4):
        put_files(lake, *(f"{number}-{n}" for n in range(5)))
        snapshots.append(run_sql(lake, "DELETE FROM files WHERE path = ?", [f"{number}-0"]))
    told = [paths(lake, snapshot) for snapshot in snapshots]
    data_version = lake.last_change("files")
    assert tidy(lake, "t1") == {"files": (4, 1)}
    assert lake.last_change("files") == data_version
    assert live_files(lake) == 1
    for path in "abc":
        put_files(lake, path)
    assert tidy(lake, "t1") == {"files": (4, 1)}
    assert live_files(lake) == 1
    assert [paths(lake, snapshot) for snapshot in snapshots] == told
    assert paths(lake) == sorted([*"abc", *(f"{number}-{n}" for number in range(4) for n in range(1, 5))])


def test_a_large_file_is_not_written_anew_for_a_few_deleted_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put_files(lake, *(f"many {number}" for number in range(5_000)))
    [large] = parquet_files(lake)
    run_sql(lake, "DELETE FROM files WHERE path IN ('many 7', 'many 8')")
    for number in range(4):
        put_files(lake, *(f"{number}-{n}" for n in range(5)))
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"{number}-0"])
    monkeypatch.setattr(tidying, "SMALL_FILE", 10_000)
    assert tidy(lake, "t1") == {"files": (4, 1)}
    assert live_files(lake) == 2
    names = lake.read(
        f"SELECT f.path FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id) "
        "WHERE f.end_snapshot IS NULL AND t.table_name = 'files'"
    )
    assert any(large.endswith(name) for (name,) in names)
    assert len(paths(lake)) == 4_998 + 16


def test_rows_that_change_between_are_neither_doubled_nor_revived(lake: Lake) -> None:
    told: dict[int, dict[str, int]] = {}
    wanted: dict[str, int] = {}
    joined = 0
    for number in range(8):
        new = {f"{path}{number}": 1 for path in "abcdef"}
        put_files(lake, *new)
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"b{number}"])
        wanted |= {path: size for path, size in new.items() if path[0] != "b"}
        joined += bool(tidy(lake, "t1"))
        run_sql(lake, "UPDATE files SET size = size + 1 WHERE starts_with(path, 'c')")
        wanted |= {path: size + 1 for path, size in wanted.items() if path[0] == "c"}
        at = run_sql(lake, "DELETE FROM files WHERE path = ?", [f"d{number - 1}"])
        wanted.pop(f"d{number - 1}", None)
        told[at] = dict(wanted)
        joined += bool(tidy(lake, "t1"))
        assert dict(lake.read("SELECT path, size FROM files")) == wanted
        assert lake.scalar("SELECT count(*) FROM files") == len(wanted)
    for at, rows in told.items():
        assert dict(lake.read(f"SELECT path, size FROM files AT (VERSION => {at})")) == rows
    assert joined >= 2
    assert live_files(lake) <= 2 * tidying.MANY_FILES


def test_maintenance_joins_small_files_of_which_few_rows_were_deleted(lake: Lake) -> None:
    for number in range(3):
        put_files(lake, *(f"{number}-{n}" for n in range(10)))
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"{number}-0"])
    assert compact(lake, run_id="m1").rewritten == {"files": (3, 1)}
    assert live_files(lake) == 1
    assert len(paths(lake)) == 27


def test_where_nothing_is_many_nothing_is_committed_however_often(lake: Lake) -> None:
    for number in range(3):
        put_files(lake, *(f"{number}-{n}" for n in range(5)))
        run_sql(lake, "DELETE FROM files WHERE path = ?", [f"{number}-0"])
        put_files(lake, f"whole {number}")
    before = lake.current_snapshot()
    assert [tidy(lake, "t1") for _ in range(3)] == [{}, {}, {}]
    assert lake.current_snapshot() == before
