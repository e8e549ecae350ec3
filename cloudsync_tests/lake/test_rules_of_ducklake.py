"""The rules learnt by breaking DuckLake 1.5.5, one by one, in the order of the design.

Where DuckLake misbehaves, the misbehaviour itself is shown: a test that fails here after an upgrade says that a rule
can be dropped, or that another one is needed. `lake` is in both forms.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from cloudsync_pipeline.core.errors import SnapshotGone, StateError
from cloudsync_pipeline.core.keys import escape, unescape
from cloudsync_pipeline.lake import Lake, commit
from cloudsync_pipeline.lake.attach import METADATA, connect
from cloudsync_pipeline.lake.leftovers import remove_orphans, remove_released
from cloudsync_pipeline.lake.maintenance import SNAPSHOTS_YOUNGEST, compact, expire
from cloudsync_tests.lake.builders import (
    a_lake,
    moved,
    parquet_files,
    paths,
    put_files,
    put_orphan,
    run_sql,
    snapshot_ids,
)
from cloudsync_tests.lake.places import Place
from cloudsync_tests.lake.test_maintenance import IN_A_MONTH, NOW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a DuckLake without any of our rules."""
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def a_ducklake(folder: Path, *options: str) -> duckdb.DuckDBPyConnection:
    """A DuckLake as it comes, with its catalog in SQLite."""
    connection = connect(
        memory_limit="256MB", threads=1, temp_directory=None, extensions=("sqlite_scanner", "ducklake")
    )
    wanted = ", ".join((f"DATA_PATH '{folder}/data/'", "META_BUSY_TIMEOUT 10000", "META_JOURNAL_MODE 'WAL'", *options))
    connection.execute(f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake ({wanted})")
    connection.execute("USE lake")
    return connection


@pytest.fixture
def plain(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = a_ducklake(folder, "DATA_INLINING_ROW_LIMIT 0")
    connection.execute("CREATE TABLE files (path VARCHAR, size INTEGER)")
    yield connection
    connection.close()


def newest(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of a plain DuckLake's newest snapshot."""
    found = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()
    assert found is not None
    return int(found[0])


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


# --- data inlining is off -----------------------------------------------------------------------


def test_ducklake_inlines_small_changes_unless_it_is_told_not_to(folder: Path) -> None:
    connection = a_ducklake(folder)
    connection.execute("CREATE TABLE files (path VARCHAR)")
    connection.execute("INSERT INTO files VALUES ('a')")
    assert files_of(folder) == []
    connection.close()


def test_a_lake_inlines_neither_rows_nor_deletes_and_survives_compaction_between_small_changes(lake: Lake) -> None:
    for path in "abcd":
        put_files(lake, path)
    run_sql(lake, "DELETE FROM files WHERE path = 'b'")
    run_sql(lake, "UPDATE files SET size = 2 WHERE path = 'c'")
    assert lake.scalar(f"SELECT count(*) FROM {METADATA}.ducklake_inlined_data_tables") == 0
    assert len(parquet_files(lake)) >= 5
    compact(lake, run_id="m1")
    run_sql(lake, "UPDATE files SET size = 3 WHERE path = 'c'")
    compact(lake, run_id="m1")
    assert lake.read("SELECT path, size FROM files ORDER BY path") == [("a", 1), ("c", 3), ("d", 1)]


# --- snapshots expire after a day, and never under an open plan or an unfinished run -------------

LEAVES = "SELECT count(*) FROM files ANTI JOIN (SELECT path FROM files AT (VERSION => {})) past USING (path)"
"""How many of today's rows would have to go, to be again what was then."""
PLAN = (
    "INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held) "
    "VALUES ('p1', 'r1', now(), 'incremental', ?, 1, 0)"
)
RUN = (
    "INSERT INTO runs (run_id, mode, started_at) "
    "SELECT 'r1', 'initial', snapshot_time FROM ducklake_snapshots('lake') WHERE snapshot_id = ?"
)


def test_ducklake_turns_a_comparison_into_deletes_without_an_error_when_a_snapshot_expires_within_its_transaction(
    plain: duckdb.DuckDBPyConnection,
) -> None:
    plain.execute("INSERT INTO files SELECT range::VARCHAR, 1 FROM range(6000)")
    then = newest(plain)
    plain.execute("UPDATE files SET size = 2")
    plain.execute("BEGIN")
    assert plain.execute(LEAVES.format(then)).fetchone() == (0,)
    plain.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{then}])")
    assert plain.execute(LEAVES.format(then)).fetchone() == (6000,)


def test_a_transaction_of_another_connection_keeps_what_it_compares_with_until_the_files_are_removed(
    folder: Path, plain: duckdb.DuckDBPyConnection
) -> None:
    plain.execute("INSERT INTO files SELECT range::VARCHAR, 1 FROM range(100)")
    then = newest(plain)
    plain.execute("UPDATE files SET size = 2")
    reader = a_ducklake(folder)
    reader.execute("BEGIN")
    assert reader.execute(LEAVES.format(then)).fetchone() == (0,)
    plain.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{then}])")
    assert reader.execute(LEAVES.format(then)).fetchone() == (0,)
    plain.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    with pytest.raises(duckdb.Error, match=r"No such file|Cannot open file"):
        reader.execute(LEAVES.format(then))
    reader.close()


def test_our_maintenance_takes_nothing_from_who_compares_with_a_protected_state(lake: Lake) -> None:
    then = put_files(lake, *"abc")
    run_sql(lake, "UPDATE files SET size = 2")

    def pass_by(time: timedelta) -> None:
        expire(lake, NOW + time, SNAPSHOTS_YOUNGEST, run_id="m1")
        remove_released(lake, NOW + time, run_id="m1")
        remove_orphans(lake, NOW + time)

    with a_lake(lake.location, read_only=True) as reader:
        begun = reader.batches(f"SELECT path FROM files AT (VERSION => {then})", rows=1)
        seen = next(begun).num_rows
        compact(lake, run_id="m1")
        pass_by(timedelta(hours=23))
        assert reader.scalar(LEAVES.format(then)) == 0
        run_sql(lake, RUN, [then])
        pass_by(timedelta(days=3))
        assert reader.scalar(LEAVES.format(then)) == 0
        run_sql(lake, "UPDATE runs SET finished_at = now()")
        run_sql(lake, PLAN, [then])
        pass_by(timedelta(days=30))
        assert reader.scalar(LEAVES.format(then)) == 0
        assert seen + sum(batch.num_rows for batch in begun) == 3
        # Once nothing protects it any more it is gone, and says so.
        run_sql(lake, "UPDATE plans SET closed_at = now()")
        pass_by(timedelta(days=30))
        with pytest.raises(SnapshotGone):
            reader.scalar(LEAVES.format(then))


def test_a_state_that_a_reader_compares_with_is_gone_once_its_snapshot_expired(
    plain: duckdb.DuckDBPyConnection,
) -> None:
    plain.execute("INSERT INTO files SELECT range::VARCHAR, 1 FROM range(100)")
    then = newest(plain)
    plain.execute("DELETE FROM files WHERE path <> '1'")
    plain.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{then}])")
    with pytest.raises(duckdb.Error, match="No snapshot found"):
        plain.execute(f"SELECT count(*) FROM files AT (VERSION => {then})")


def test_no_snapshot_of_the_last_day_expires_nor_one_that_an_open_plan_or_a_running_run_was_made_from(
    lake: Lake,
) -> None:
    base = put_files(lake, "a")
    put_files(lake, "b")
    before = snapshot_ids(lake)
    assert expire(lake, NOW + timedelta(hours=23), SNAPSHOTS_YOUNGEST, run_id="m1") == 0
    with pytest.raises(ValueError, match="at least"):
        expire(lake, IN_A_MONTH, timedelta(hours=23), run_id="m1")
    assert snapshot_ids(lake) == before
    run_sql(lake, PLAN, [base])
    expire(lake, IN_A_MONTH, SNAPSHOTS_YOUNGEST, run_id="m1")
    assert min(snapshot_ids(lake)) == base
    assert paths(lake, base) == ["a"]


# --- orphans younger than a day are never removed -----------------------------------------------


def test_ducklake_removes_the_files_of_a_running_writer_whose_commit_then_succeeds_without_them(
    folder: Path, plain: duckdb.DuckDBPyConnection
) -> None:
    plain.execute("BEGIN")
    plain.execute("INSERT INTO files SELECT range::VARCHAR, 1 FROM range(100)")
    other = a_ducklake(folder)
    other.execute("CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)")
    other.close()
    assert files_of(folder) == []
    plain.execute("COMMIT")
    with pytest.raises(duckdb.Error, match=r"No such file|Cannot open file"):
        plain.execute("SELECT * FROM files").fetchall()


def test_a_file_that_no_commit_names_yet_stays_for_a_day(lake: Lake) -> None:
    orphan = "main/files/ducklake-of-a-running-writer.parquet"
    put_files(lake, "a")
    put_orphan(lake, orphan, b"half a row group")
    remove_orphans(lake, NOW + timedelta(hours=23))
    assert orphan in parquet_files(lake)
    remove_orphans(lake, NOW + timedelta(hours=25))
    assert orphan not in parquet_files(lake)


def test_ducklake_reads_the_data_path_as_a_pattern_and_removes_a_neighbours_files(tmp_path: Path) -> None:
    # Why `lake.leftovers` removes files itself.
    for name in ("ab", "a*"):
        (tmp_path / name).mkdir()
    neighbour = a_ducklake(tmp_path / "ab", "DATA_INLINING_ROW_LIMIT 0")
    neighbour.execute("CREATE TABLE files AS SELECT 1 AS size")
    ours = a_ducklake(tmp_path / "a*")
    ours.execute("CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)")
    assert files_of(tmp_path / "ab") == []
    for connection in (neighbour, ours):
        connection.close()


# --- there are no unique keys -------------------------------------------------------------------


def test_ducklake_has_no_unique_keys_and_a_merge_stores_a_key_twice(plain: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="not supported"):
        plain.execute("CREATE TABLE keyed (path VARCHAR PRIMARY KEY)")
    plain.execute(
        "MERGE INTO files USING (VALUES ('a', 1), ('a', 2)) AS new (path, size) USING (path) "
        "WHEN MATCHED THEN UPDATE SET size = new.size WHEN NOT MATCHED THEN INSERT"
    )
    assert plain.execute("SELECT path, size FROM files ORDER BY size").fetchall() == [("a", 1), ("a", 2)]


def test_a_commit_asserts_that_no_key_stands_twice(lake: Lake) -> None:
    put_files(lake, "a")
    for twice in (("a",), ("b", "b")):
        with pytest.raises(StateError, match="twice in the table files"):
            put_files(lake, *twice)
    assert paths(lake) == ["a"]


# --- a commit that met another writer is tried again: its SQL, and nothing else ------------------


def test_ducklake_fails_at_once_when_another_writer_came_between_begin_and_commit(
    folder: Path, plain: duckdb.DuckDBPyConnection
) -> None:
    plain.execute("CREATE TABLE others (path VARCHAR)")
    other = a_ducklake(folder, "DATA_INLINING_ROW_LIMIT 0")
    plain.execute("BEGIN")
    plain.execute("INSERT INTO files VALUES ('a', 1)")
    other.execute("INSERT INTO others VALUES ('b')")
    other.close()
    with pytest.raises(duckdb.Error, match="database is locked"):
        plain.execute("COMMIT")


def test_a_commit_that_met_another_writer_runs_its_sql_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "FIRST_WAIT", 0.001)
    put_files(lake, "a")
    tries: list[int] = []
    with a_lake(lake.location) as other:

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            tries.append(1)
            connection.execute("UPDATE files SET size = size + 1")
            if len(tries) == 1:
                run_sql(other, "UPDATE files SET size = size + 10")

        lake.commit(work, run_id="run-1", step="add")
    assert len(tries) > 1
    assert lake.read("SELECT path, size FROM files") == [("a", 12)]


# --- U+0000 and invalid UTF-8 are escaped -------------------------------------------------------


def test_what_duckdb_cannot_hold_is_escaped_and_comes_back(lake: Lake) -> None:
    hostile = ["a\x00b", b"caf\xe9".decode("utf-8", "surrogateescape"), "plain"]
    for key in hostile[:2]:
        with pytest.raises((StateError, RuntimeError)):
            put_files(lake, key)
    put_files(lake, *(escape(key) for key in hostile))
    assert {unescape(path) for path in paths(lake)} == set(hostile)


# --- the data path is absolute ------------------------------------------------------------------


def test_ducklake_refuses_a_moved_lake_unless_told_to_override_its_data_path(
    tmp_path: Path, folder: Path, plain: duckdb.DuckDBPyConnection
) -> None:
    plain.execute("INSERT INTO files VALUES ('a', 1)")
    plain.close()
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        path = catalog.execute("SELECT value FROM ducklake_metadata WHERE key = 'data_path'").fetchone()
    assert path == (f"{folder}/data/",)
    new = Path(shutil.move(folder, tmp_path / "new"))
    with pytest.raises(duckdb.Error, match="OVERRIDE_DATA_PATH"):
        a_ducklake(new)
    opened = a_ducklake(new, "OVERRIDE_DATA_PATH true")
    assert opened.execute("SELECT path FROM files").fetchall() == [("a",)]
    opened.close()


def test_a_moved_lake_opens(place: Place) -> None:
    with a_lake(place("old")) as lake:
        put_files(lake, "a")
    with a_lake(moved(place("old"), place("new"))) as lake:
        put_files(lake, "b")
        assert paths(lake) == ["a", "b"]
