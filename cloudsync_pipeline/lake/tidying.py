"""Small data files, joined before they are many.

Each commit adds a Parquet file to each table that it writes to, and each statement opens all of its table's: without
this, the hundredth sync since the last maintenance takes three times the CPU time of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudsync_pipeline.lake.attach import CATALOG, METADATA

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cloudsync_pipeline.lake.lake import Lake

MANY_FILES = 32
"""Small files of one table at which they are joined: a sync with changes leaves one or two in ten tables."""
SMALL_FILE = 1024 * 1024
"""Bytes below which a file is small. Larger ones are not written again each time; maintenance joins them."""

_WITH_MANY_FILES = (
    f"SELECT t.table_name FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id) "
    "WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND f.file_size_bytes < ? "
    "GROUP BY 1 HAVING count(*) >= ? ORDER BY 1"
)


def tidy(lake: Lake, run_id: str) -> Mapping[str, tuple[int, int]]:
    """See `Lake.tidy`."""
    tables = [name for (name,) in lake.read(_WITH_MANY_FILES, [SMALL_FILE, MANY_FILES])]
    if not tables:
        return {}

    def work(connection: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
        return {table: _join(connection, table) for table in tables}

    return lake.commit(work, run_id=run_id, step="tidy", message="join small files")


def _join(connection: DuckDBPyConnection, table: str) -> tuple[int, int]:
    rows = connection.execute(
        f"CALL ducklake_merge_adjacent_files('{CATALOG}', '{table}', max_file_size => {SMALL_FILE})"
    ).fetchall()
    return sum(row[2] for row in rows), sum(row[3] for row in rows)
