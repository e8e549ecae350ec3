"""Which storage and which destination a lake is about."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cloudsync_pipeline.lake import plans, runs
from cloudsync_pipeline.lake.lake import Connection, Lake

META = "identity"
"""Name of the lake's note that holds both ends as JSON; names begin with `storage.`, `file_manager.` or so."""


def remember(lake: Lake, run_id: str, identity: Mapping[str, str]) -> None:
    """Store both ends, the first time."""
    text = json.dumps(dict(identity), sort_keys=True)
    lake.commit(lambda connection: runs.set_meta(connection, META, text), run_id=run_id, step="identity")


def accept(
    lake: Lake, run_id: str, identity: Mapping[str, str], *, storage_changed: bool, destination_changed: bool
) -> None:
    """Store changed ends, and forget what was true of the old ones only; the next sync is a full scan.

    Args:
        storage_changed: the objects are others: none is known, and no file holds a known version of one.
        destination_changed: the files are elsewhere: none is there yet.
    """
    text = json.dumps(dict(identity), sort_keys=True)

    def work(connection: Connection) -> None:
        if storage_changed:
            for table in ("objects", "desired_permissions", "owed"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("UPDATE files SET source_etag = NULL, source_version_id = NULL")
        if destination_changed:
            connection.execute("DELETE FROM files")
            connection.execute("DELETE FROM owed")
        if storage_changed or destination_changed:
            connection.execute("DELETE FROM meta WHERE name IN ('scanned_at', 'feed_cursor')")
            # What was sent to a destination that stays may be there, and has to be asked about.
            closed_as = "identity changed" if destination_changed else plans.STORAGE_CHANGED
            connection.execute(
                "UPDATE plans SET closed_at = now(), closed_as = ? WHERE closed_at IS NULL OR closed_as IN (?, ?)",
                [closed_as, plans.SUPERSEDED, plans.STORAGE_CHANGED],
            )
        runs.set_meta(connection, META, text)

    lake.commit(work, run_id=run_id, step="identity", message="accepted")
