"""Lakes and rows for tests of the lake."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.attach import METADATA
from cloudsync_pipeline.lake.bucket import BucketFiles
from cloudsync_pipeline.lake.cluster import Cluster
from cloudsync_pipeline.lake.location import Location

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_lake(location: Location | Path, **settings: Any) -> Lake:
    return Lake.open(location, integration="acme", **settings)


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


def parquet_files(lake: Lake, table: str = "files") -> set[str]:
    """The paths of a table's files below the lake's data."""
    return {file.path for file in lake.files.list() if file.path.startswith(f"main/{table}/")}


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
    moment = when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    change = "UPDATE {}ducklake_snapshot SET snapshot_time = '{}' WHERE snapshot_id = {}"
    if isinstance(lake.location, Cluster):
        _in_postgres(lake.location, change.format(f'"{lake.location.schema}".', moment, snapshot))
        return
    catalog = sqlite3.connect(lake.folder / "catalog.sqlite")
    with catalog:
        catalog.execute(change.format("", moment, snapshot))
    catalog.close()


def _in_postgres(location: Cluster, statement: str) -> None:
    engine = sa.create_engine(sa.make_url(location.catalog).set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        # The fence lets nobody change snapshots but their writer.
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(statement))
    engine.dispose()


def put_orphan(lake: Lake, path: str, content: bytes) -> None:
    """Put a file beside the lake's own, as a writer leaves it that dies before its commit."""
    files = lake.files
    if isinstance(files, BucketFiles):
        files.bucket.client().put_object(Bucket=files.bucket.bucket, Key=files.prefix + path, Body=content)
    else:
        Path(files.address, path).write_bytes(content)


def moved(old: Location, new: Location) -> Location:
    """Take a closed lake to another place: its folder, or (beside the same catalog) its files in the bucket."""
    if not isinstance(old, Cluster) or not isinstance(new, Cluster):
        shutil.move(old.folder, new.folder)
        return new
    client, bucket = old.files.bucket.client(), old.files.bucket.bucket
    paths = [file.path for file in old.files.list()]
    for path in paths:
        source = {"Bucket": bucket, "Key": old.files.prefix + path}
        client.copy_object(Bucket=bucket, Key=new.files.prefix + path, CopySource=source)
    old.files.remove(paths)
    return replace(old, files=new.files)
