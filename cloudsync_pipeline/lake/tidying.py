"""Small data files, joined before they are many.

Each commit adds a Parquet file to each table that it writes to, and each statement opens all of its table's: without
this, the hundredth sync since the last maintenance takes three times the CPU time of the first. DuckLake merges only
files of which no row was deleted; the others are written anew without those rows, and merged the next time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudsync_pipeline.lake.attach import CATALOG, METADATA

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cloudsync_pipeline.lake.lake import Lake

MANY_FILES = 32
"""Small files of one table at which they are joined: a sync with changes leaves one or two in ten tables."""
SMALL_FILE = 1024 * 1024
"""Bytes below which a file is small. Larger ones are not written again each time; maintenance looks at them."""


@dataclass(frozen=True, slots=True)
class Scattered:
    """A table's small data files.

    Attributes:
        whole: those of which no row was deleted.
        holed: those with a greater share of deleted rows than any larger file has.
        share: what lies between these shares, so that larger files are left alone.
    """

    table: str
    whole: int
    holed: int
    share: float


def tidy(lake: Lake, run_id: str) -> Mapping[str, tuple[int, int]]:
    """Join small data files where a table has gathered many, in one commit; every snapshot reads as before.

    Returns:
        The files that were joined and those that they became, by table; empty where none has many.

    Raises:
        CommitFailed, StorageFull, StateError, LockLost: nothing was changed.
    """
    # One of the two for a table: the second does not see what the first has written.
    calls = {
        one.table: rewriting(one) if one.holed >= MANY_FILES else _merging(one.table)
        for one in scattered(lake)
        if max(one.whole, one.holed) >= MANY_FILES
    }
    if not calls:
        return {}

    def work(connection: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
        return {table: done_by(connection, call) for table, call in calls.items()}

    return lake.commit(work, run_id=run_id, step="tidy", message="join small files")


def scattered(lake: Lake) -> Sequence[Scattered]:
    """The small files of each table."""
    rows = lake.read(
        f"""
        SELECT t.table_name, count(*) FILTER (WHERE small AND share IS NULL),
               coalesce(max(share) FILTER (WHERE NOT small), 0), coalesce(list(share) FILTER (WHERE small), [])
        FROM (
            SELECT f.table_id, f.file_size_bytes < ? AS small, d.delete_count / f.record_count AS share
            FROM {METADATA}.ducklake_data_file f LEFT JOIN {METADATA}.ducklake_delete_file d
                ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
            WHERE f.end_snapshot IS NULL
        )
        JOIN {METADATA}.ducklake_table t USING (table_id)
        WHERE t.end_snapshot IS NULL
        GROUP BY 1 ORDER BY 1
        """,
        [SMALL_FILE],
    )
    found = []
    for table, whole, of_large, shares in rows:
        holed = [share for share in shares if share is not None and share > of_large]
        found.append(Scattered(table, whole, len(holed), (of_large + min(holed)) / 2 if holed else 1.0))
    return found


def rewriting(files: Scattered) -> str:
    """The statement that writes a table's small files with deleted rows anew."""
    return f"CALL ducklake_rewrite_data_files('{CATALOG}', '{files.table}', delete_threshold => {files.share!r})"


def _merging(table: str) -> str:
    return f"CALL ducklake_merge_adjacent_files('{CATALOG}', '{table}', max_file_size => {SMALL_FILE})"


def done_by(connection: DuckDBPyConnection, call: str) -> tuple[int, int]:
    """Within a commit: run such a statement; returns how many files it took, and how many they became."""
    rows = connection.execute(call).fetchall()
    return sum(row[2] for row in rows), sum(row[3] for row in rows)
