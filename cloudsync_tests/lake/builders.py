"""Lakes and rows for tests of the lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.attach import METADATA

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_lake(folder: Path, **settings: Any) -> Lake:
    return Lake.open(folder, integration="acme", **settings)


def put_files(lake: Lake, *paths: str, size: int = 1, run_id: str = "run-1", unique: bool = True) -> int:
    """Commit a confirmed file for each path; returns the snapshot."""
    lake.commit(
        lambda connection: connection.execute(
            "INSERT INTO files (path, size, confirmed_at) SELECT unnest(?), ?, ?", [list(paths), size, NOON]
        ),
        run_id=run_id,
        step="put",
        unique=("files",) if unique else (),
    )
    return lake.current_snapshot()


OWE = "INSERT INTO owed (path, aspect, since, touched_at) VALUES (?, ?, now(), now())"


def run_sql(lake: Lake, sql: str, params: Iterable[object] = ()) -> int:
    """Commit one statement; returns the snapshot."""
    lake.commit(lambda connection: connection.execute(sql, list(params)), run_id="run-1", step="sql")
    return lake.current_snapshot()


def paths(lake: Lake, snapshot: int | None = None) -> list[str]:
    version = f" AT (VERSION => {snapshot})" if snapshot is not None else ""
    return [path for (path,) in lake.read(f"SELECT path FROM files{version} ORDER BY path")]


def snapshot_ids(lake: Lake) -> list[int]:
    return sorted(snapshot.id for snapshot in lake.snapshots())


def parquet_files(lake: Lake, table: str = "files") -> set[Path]:
    return set((lake.data / "main" / table).glob("*.parquet"))


def live_files(lake: Lake, table: str = "files") -> int:
    """Data files that the newest snapshot of a table needs."""
    found = lake.scalar(
        f"SELECT count(*) FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id) "
        "WHERE f.end_snapshot IS NULL AND t.table_name = ?",
        [table],
    )
    return int(found)


def set_snapshot_time(lake: Lake, snapshot: int, when: datetime) -> None:
    """Make a snapshot look as if it had been committed at another time."""
    catalog = sqlite3.connect(lake.folder / "catalog.sqlite")
    with catalog:
        catalog.execute(
            "UPDATE ducklake_snapshot SET snapshot_time = ? WHERE snapshot_id = ?",
            [when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00"), snapshot],
        )
    catalog.close()
