"""Which files make up a lake as it stands, for who copies them; and a copied lake made ready to be used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import restored, runs
from cloudsync_pipeline.lake.attach import METADATA
from cloudsync_pipeline.lake.lake import Lake

CATALOG_FILE = "catalog.sqlite"
DATA = "data"


def data_files(lake: Lake) -> Iterator[tuple[Path, str]]:
    """Every data file that a snapshot of the lake needs, with its path below `data/`. Call it as the only writer.

    Files that nothing needs any more (replaced, or never committed) are left out.

    Raises:
        StateError: one is missing: the lake is damaged.
    """
    needed = {name for (name,) in lake.read(_NEEDED)}
    for file in lake.files.list():
        name = file.path.rsplit("/", 1)[-1]
        if name in needed:
            needed.discard(name)
            yield lake.folder / DATA / file.path, file.path
    if needed:
        raise StateError(
            f"The lake is damaged: {len(needed)} of its data files are missing, {min(needed)} for one.",
            integration=lake.integration,
            remedy="Restore a backup of it: cloudsync restore --integration " + lake.integration,
        )


_NEEDED = " UNION ".join(
    f"SELECT parse_filename(path) FROM {METADATA}.{table}" for table in ("ducklake_data_file", "ducklake_delete_file")
)


def facts(lake: Lake) -> dict[str, object]:
    """What a copy says of itself: snapshot, schema version, rows."""
    return {
        "snapshot_id": lake.current_snapshot(),
        "schema_version": int(runs.get_meta(lake, "schema_version") or 0),
        "files": lake.scalar("SELECT count(*) FROM files"),
        "objects": lake.scalar("SELECT count(*) FROM objects"),
    }


def make_ready(folder: Path, *, integration: str, run_id: str, backup_at: datetime, now: datetime) -> dict[str, object]:
    """Open a copied lake where it lies, migrate it where it is older, read it, and mark it as restored.

    Returns:
        Its `facts`.

    Raises:
        StateError, SchemaTooNew: it cannot be used.
    """
    with Lake.open(folder, integration=integration, create=False) as lake:
        restored.mark(lake, run_id, backup_at=backup_at, now=now)
        return facts(lake)
