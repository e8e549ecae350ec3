"""Lakes of any size without a storage: `python -m benchmarks.made_lake FOLDER OBJECTS [PERCENT ...]`.

Makes `FOLDER/lake`, in which every object has its file, and for each percentage a listing `FOLDER/PERCENT.parquet` in
which so many objects are changed, and up to one in a hundred of them are added and removed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from cloudsync_pipeline.lake import Lake, runs
from cloudsync_pipeline.lake.lake import Connection

MADE = datetime(2026, 1, 1, tzinfo=UTC)
LISTED = datetime(2026, 2, 1, tzinfo=UTC)
INTEGRATION = "made"

_KEY = "printf('folder %03d/file %07d.dat', n % 1000, n // 1000)"
_MODIFIED = "'2025-06-01T00:00:00Z'::TIMESTAMPTZ + INTERVAL (n % 1000000) SECOND"


def key(number: int) -> str:
    """The key of an object that was made."""
    return f"folder {number % 1000:03}/file {number // 1000:07}.dat"


def make(folder: Path, objects: int, percentages: Sequence[int]) -> None:
    """See the module's docstring. What is there already, from a call that came to its end, is not made again."""
    lake = folder / "lake"
    if not lake.exists():
        making = _emptied(folder / "lake.made")
        with Lake.open(making, integration=INTEGRATION, memory_limit="2GB") as opened:
            opened.commit(lambda connection: _fill(connection, objects), run_id="made", step="made")
        making.rename(lake)
    for percent in percentages:
        listing = folder / f"{percent}.parquet"
        if not listing.exists():
            making = folder / f"{percent}.made"
            _write_listing(making, objects, percent)
            making.rename(listing)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _fill(connection: Connection, objects: int) -> None:
    connection.execute(
        f"""
        INSERT INTO objects (key, size, etag, last_modified, observed_at)
        SELECT {_KEY} AS key, 1000 + n % 5000, md5(n::VARCHAR), {_MODIFIED}, ? FROM range({objects}) numbers(n)
        ORDER BY key
        """,
        [MADE],
    )
    connection.execute(
        """
        INSERT INTO files (path, internal_id, size, source_etag, fingerprint_kind, fingerprint_value,
                           permissions_known, created_at, confirmed_at, op_id)
        SELECT key, 'id-' || etag[1:16], size, etag, 'md5', etag, true, $now, $now, 'made-1-' || size FROM objects
        ORDER BY key
        """,
        {"now": MADE},
    )
    runs.set_meta(connection, "scanned_at", MADE.isoformat())


def _write_listing(file: Path, objects: int, percent: int) -> None:
    """In the order of its keys, as storages list."""
    moved = min(percent, 1)
    connection = duckdb.connect(config={"memory_limit": "2GB", "threads": 2, "temp_directory": f"{file}.tmp"})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""
        COPY (
            SELECT {_KEY} AS key, (1000 + n % 5000)::BIGINT AS size,
                   CASE WHEN hash(n) % 100 < {percent} THEN md5('changed ' || n) ELSE md5(n::VARCHAR) END AS etag,
                   {_MODIFIED} AS last_modified, NULL::VARCHAR AS version_id, NULL::VARCHAR AS storage_class,
                   NULL::VARCHAR AS content_type, NULL::VARCHAR AS fingerprint_kind,
                   NULL::VARCHAR AS fingerprint_value, NULL::VARCHAR AS stable_id, NULL::VARCHAR AS parent_id,
                   '{LISTED.isoformat()}'::TIMESTAMPTZ AS observed_at
            FROM range({objects + objects * moved // 100}) numbers(n)
            WHERE NOT (n < {objects} AND hash(n + 7) % 100 < {moved})
            ORDER BY key
        ) TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)
        """
    )
    connection.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), [int(one) for one in sys.argv[3:]])
