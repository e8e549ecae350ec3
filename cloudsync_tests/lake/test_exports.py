"""Tables as files, and as frames for people."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloudsync_pipeline.core.errors import SnapshotGone, StateError
from cloudsync_pipeline.core.keys import escape
from cloudsync_pipeline.lake import Lake, frames
from cloudsync_pipeline.lake.export import ExportFormat, export
from cloudsync_tests.hostile_keys import HOSTILE_KEYS
from cloudsync_tests.lake.builders import NOON, OWE, parquet_files, put_files, run_sql

HOSTILE = sorted(
    [hostile.key for hostile in HOSTILE_KEYS]
    + ["=1+1", "+1", "-1", "@SUM(A1)", "\tcell", "\rcell", "'quoted", "''", "a,b", 'a"b', "＝1", escape("nul\x00")]
)


def _read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def _without_mark(cell: str) -> str:
    return cell.removeprefix("'")


def test_every_key_comes_back_from_a_csv_file(lake: Lake, tmp_path: Path) -> None:
    put_files(lake, *HOSTILE)
    written = export(lake, "files", tmp_path / "files.csv")
    cells = [row["path"] for row in _read_csv(written.path)]
    assert sorted(map(_without_mark, cells)) == HOSTILE
    assert written.rows == len(HOSTILE)
    assert written.bytes == written.path.stat().st_size


def test_no_cell_of_a_csv_file_begins_like_a_formula(lake: Lake, tmp_path: Path) -> None:
    put_files(lake, *HOSTILE)
    run_sql(lake, "UPDATE files SET owner = '=cmd|calc' WHERE path = '=1+1'")
    for row in _read_csv(export(lake, "files", tmp_path / "files.csv").path):
        assert not any(cell.startswith(tuple("=+-@\t\r\n")) for cell in row.values())


def test_parquet_holds_every_value_as_it_is(lake: Lake, tmp_path: Path) -> None:
    put_files(lake, *HOSTILE)
    found = pq.read_table(export(lake, "files", tmp_path / "files.parquet").path)
    assert sorted(map(str, found["path"].to_pylist())) == HOSTILE
    assert found["confirmed_at"][0].as_py() == NOON
    assert found["owner"][0].as_py() is None


def test_csv_tells_null_from_empty_and_writes_times_and_lists_in_standard_forms(lake: Lake, tmp_path: Path) -> None:
    run_sql(
        lake,
        "INSERT INTO events (identity, key, etag, also, received_at) VALUES ('e1', 'a', '', ['b', 'c,\"d'], ?)",
        [NOON],
    )
    file = export(lake, "events", tmp_path / "events.csv").path
    (row,) = _read_csv(file)
    assert row["received_at"] == "2026-03-01T12:00:00.000000Z"
    assert row["also"] == '["b","c,\\"d"]'
    assert '"a",,' in file.read_text(encoding="utf-8")
    assert ',"",' in file.read_text(encoding="utf-8")


def test_an_older_state_is_exported_by_its_snapshot(lake: Lake, tmp_path: Path) -> None:
    first = put_files(lake, "a")
    put_files(lake, "b")
    written = export(lake, "files", tmp_path / "x", format=ExportFormat.CSV, snapshot=first)
    assert [row["path"] for row in _read_csv(written.path)] == ["a"]
    assert written.snapshot_id == first
    with pytest.raises(SnapshotGone):
        export(lake, "files", tmp_path / "y.csv", snapshot=99)


def test_an_export_replaces_the_file_and_leaves_nothing_else(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "it's [an] export"
    for _ in range(2):
        export(lake, "files", folder / "files.csv")
    assert [file.name for file in folder.iterdir()] == ["files.csv"]


def test_an_export_that_fails_leaves_the_file_that_was_there(lake: Lake, tmp_path: Path) -> None:
    # Not read before it vanishes: DuckDB keeps what it has read of a bucket.
    put_files(lake, "a", unique=False)
    target = tmp_path / "files.csv"
    target.write_bytes(b"before")
    lake.files.remove(parquet_files(lake))
    with pytest.raises(StateError):
        export(lake, "files", target)
    assert target.read_bytes() == b"before"
    assert {file.name for file in tmp_path.iterdir()} - {"lake"} == {"files.csv"}


def test_what_cannot_be_exported_is_refused_with_a_remedy(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no table 'secrets'"):
        export(lake, "secrets", tmp_path / "x.csv")
    with pytest.raises(StateError, match=r"End its name in \.csv or \.parquet"):
        export(lake, "files", tmp_path / "x.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written"):
        export(lake, "files", tmp_path / "file" / "x.csv")


# --- frames -------------------------------------------------------------------------------------


def test_a_table_as_a_frame_at_any_state(lake: Lake) -> None:
    first = put_files(lake, "b", "a")
    put_files(lake, "c")
    assert frames.table(lake, "files")["path"].tolist() == ["a", "b", "c"]
    assert frames.table(lake, "files", snapshot=first)["path"].tolist() == ["a", "b"]
    assert len(frames.table(lake, "files", limit=1)) == 1
    with pytest.raises(StateError, match="no table"):
        frames.table(lake, "files WHERE false")


def test_every_table_can_be_shown(lake: Lake) -> None:
    from cloudsync_pipeline.lake import schema

    assert all(len(frames.table(lake, name).columns) for name in schema.TABLES)


def test_snapshots_as_a_frame(lake: Lake) -> None:
    put_files(lake, "a", run_id="run-9")
    frame = frames.snapshots(lake, limit=1)
    assert frame[["author", "message", "tables"]].values.tolist() == [["run-9", "put", "files"]]


def test_how_storage_and_file_manager_differ_as_a_frame(lake: Lake) -> None:
    put_files(lake, "same", "stale", "gone")
    run_sql(lake, "UPDATE files SET source_etag = 'v1'")
    run_sql(
        lake,
        "INSERT INTO objects (key, size, etag, observed_at) "
        "VALUES ('same', 10, 'v1', now()), ('stale', 20, 'v2', now()), ('new', 30, 'v1', now())",
    )
    for path in ("stale", "new"):
        run_sql(lake, OWE, [path, "content"])
    run_sql(lake, OWE, ["new", "permissions"])
    assert frames.differences(lake).values.tolist() == [
        ["another version", 1, 20, 1],
        ["only in the file manager", 1, 1, 0],
        ["only in the storage", 1, 30, 1],
        ["same version", 1, 10, 0],
    ]
