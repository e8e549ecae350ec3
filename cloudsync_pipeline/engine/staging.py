"""A listing on disk, outside the lake, until it is complete: Parquet parts and, last of all, a marker.

A listing without its marker broke off and counts for nothing. A complete one survives a crash of what
comes after it, and is not listed again.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudsync_pipeline.lake.observing import Listing
from cloudsync_pipeline.storage.base import LISTING_SCHEMA

MARKER = "complete.json"
ROWS_A_PART = 500_000
GOOD_FOR = timedelta(hours=1)
"""How old a complete listing may be to be used by a later run instead of a new one."""


@dataclass(slots=True)
class Stage:
    """Writes one listing; see the module's docstring. Times by our clock unless said otherwise."""

    folder: Path
    listing_id: str
    begun_at: datetime
    begun_snapshot: int | None = None
    objects: int = 0
    bytes: int = 0
    observed_from: datetime | None = None
    _parts: list[Path] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None
    _rows: int = 0

    @classmethod
    def begin(cls, staging: Path, listing_id: str, now: datetime, snapshot: int | None = None) -> Stage:
        """Make room for a listing; whatever broke off before is removed (the caller holds the lock)."""
        folder = staging / listing_id
        folder.mkdir(parents=True)
        return cls(folder, listing_id, now, snapshot)

    def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch of `LISTING_SCHEMA`."""
        if batch.num_rows == 0:
            return
        writer = self._open_part()
        writer.write_batch(batch)
        self._rows += batch.num_rows
        self.objects += batch.num_rows
        self.bytes += pc.sum(batch.column("size")).as_py() or 0
        earliest = pc.min(batch.column("observed_at")).as_py()
        if self.observed_from is None or earliest < self.observed_from:
            self.observed_from = earliest
        if self._rows >= ROWS_A_PART:
            self._close_part()

    def complete(self, now: datetime) -> Listing:
        """Everything was added: put the marker."""
        if self._writer is not None or not self._parts:
            self._open_part()  # an empty bucket has one empty part, so that readers need no special case
            self._close_part()
        listing = Listing(
            listing_id=self.listing_id,
            parts=tuple(self._parts),
            begun_at=self.begun_at,
            completed_at=now,
            observed_from=self.observed_from or self.begun_at,
            objects=self.objects,
            bytes=self.bytes,
            begun_snapshot=self.begun_snapshot,
        )
        text = json.dumps(
            {
                "listing_id": listing.listing_id,
                "parts": [part.name for part in listing.parts],
                "begun_at": listing.begun_at.isoformat(),
                "completed_at": listing.completed_at.isoformat(),
                "observed_from": listing.observed_from.isoformat(),
                "objects": listing.objects,
                "bytes": listing.bytes,
                "begun_snapshot": listing.begun_snapshot,
            }
        )
        temporary = self.folder / f"{MARKER}.tmp"
        temporary.write_text(text, encoding="utf-8")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(self.folder / MARKER)
        return listing

    def abandon(self) -> None:
        """The listing broke off: remove what was written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open_part(self) -> pq.ParquetWriter:
        if self._writer is None:
            part = self.folder / f"part-{len(self._parts):05}.parquet"
            self._parts.append(part)
            self._writer = pq.ParquetWriter(part, LISTING_SCHEMA, compression="zstd", compression_level=1)
            self._rows = 0
        return self._writer

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        with self._parts[-1].open("rb") as file:
            os.fsync(file.fileno())


def complete_listings(staging: Path) -> list[Listing]:
    """The complete listings that are there, oldest first; one whose marker cannot be read is none."""
    found = (_read_marker(marker) for marker in staging.glob(f"*/{MARKER}"))
    return sorted((listing for listing in found if listing is not None), key=lambda listing: listing.begun_at)


def is_whole(listing: Listing) -> bool:
    """Whether every part of a complete listing is still there."""
    return all(part.is_file() for part in listing.parts)


def _read_marker(marker: Path) -> Listing | None:
    try:
        said = json.loads(marker.read_text(encoding="utf-8"))
        return Listing(
            listing_id=said["listing_id"],
            parts=tuple(marker.parent / name for name in said["parts"]),
            begun_at=datetime.fromisoformat(said["begun_at"]),
            completed_at=datetime.fromisoformat(said["completed_at"]),
            observed_from=datetime.fromisoformat(said["observed_from"]),
            objects=said["objects"],
            bytes=said["bytes"],
            begun_snapshot=said.get("begun_snapshot"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def remove(staging: Path, listing_id: str) -> None:
    """Remove one staged listing."""
    shutil.rmtree(staging / listing_id, ignore_errors=True)


def clear(staging: Path, *, keep: str | None = None) -> None:
    """Remove every staged listing but one; the caller holds the lock."""
    for folder in staging.iterdir() if staging.is_dir() else ():
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
