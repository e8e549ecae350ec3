"""Files under a lake's data folder that no version needs any more, removed once they are old enough.

DuckLake has calls for this, which we do not use: with a SQLite catalog `ducklake_cleanup_old_files` (as
`ducklake_expire_snapshots`) takes any `older_than` for "everything", and `ducklake_delete_orphaned_files` reads the
data path as a pattern, so that a folder named `a*` loses the files of its neighbour `ab`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudsync_pipeline.lake.attach import METADATA
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.location import Removed

YOUNGEST = timedelta(hours=24)
"""A file stays this long after it was released, for readers that began before, and after it was written without a
commit: a writer may still be about to commit it, and its COMMIT would succeed without its rows."""
_BATCH = 1_000


def remove_released(lake: Lake, now: datetime, *, run_id: str) -> Removed:
    """Remove files that a compaction replaced or an expired snapshot let go, `YOUNGEST` after that.

    Call it as the lake's only writer.
    """
    removed = Removed()
    while True:
        # A file is released twice where a compaction and an expiry both let it go: only the last time counts.
        batch = lake.read(
            "SELECT path, max(schedule_start::TIMESTAMPTZ) AS released "
            f"FROM {METADATA}.ducklake_files_scheduled_for_deletion GROUP BY path "
            "HAVING max(schedule_start::TIMESTAMPTZ) <= ? LIMIT ?",
            [now - YOUNGEST, _BATCH],
        )
        if not batch:
            return removed
        paths = [path for path, *_ in batch]
        removed += lake.files.remove(paths)

        def forget(connection: Connection, paths: list[str] = paths) -> None:
            connection.execute(
                f"DELETE FROM {METADATA}.ducklake_files_scheduled_for_deletion WHERE list_contains(?, path)", [paths]
            )

        lake.commit(forget, run_id=run_id, step="maintenance", message="remove released files")


def remove_orphans(lake: Lake, now: datetime) -> Removed:
    """Remove Parquet files that no commit ever named (a writer was killed), once they are `YOUNGEST` old.

    Call it as the lake's only writer.
    """
    # By name, which is a UUID: whatever folder a path is relative to, a file that is known stays.
    known = {name for (name,) in lake.read(_KNOWN_NAMES)}
    oldest_kept = now - YOUNGEST
    return lake.files.remove(
        file.path
        for file in lake.files.list()
        if file.modified <= oldest_kept and file.path.rsplit("/", 1)[-1] not in known
    )


_KNOWN_NAMES = " UNION ALL ".join(
    f"SELECT parse_filename(path) FROM {METADATA}.{table}"
    for table in ("ducklake_data_file", "ducklake_delete_file", "ducklake_files_scheduled_for_deletion")
)
