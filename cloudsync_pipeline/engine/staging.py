"""A listing on disk, outside the lake, until it is complete: Parquet parts and, last of all, a marker.

A listing without its marker broke off and counts for nothing. A complete one survives a crash of what
comes after it, and is not listed again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudsync_pipeline.engine.concurrency import carried_through
from cloudsync_pipeline.lake.observing import Listing
from cloudsync_pipeline.storage.base import LISTING_SCHEMA

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARKER = "complete.json"
ROWS_A_PART = 500_000
ROWS_A_GROUP = 50_000
"""Rows written at once, as a Parquet row group: a group a page would take five times as long to write and to read."""
# What is alike in most rows is told once; names and ETags, alike in none, are set down with their lengths before them.
_STORED_AS: Mapping[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["storage_class", "content_type", "fingerprint_kind", "parent_id"],
    "column_encoding": {"key": "DELTA_LENGTH_BYTE_ARRAY", "etag": "DELTA_LENGTH_BYTE_ARRAY"},
}
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
    _gathered: list[pa.RecordBatch] = field(default_factory=list)
    _gathered_rows: int = 0
    _writing: asyncio.Future[None] | None = None

    @classmethod
    def begin(cls, staging: Path, listing_id: str, now: datetime, snapshot: int | None = None) -> Stage:
        """Make room for a listing; whatever broke off before is removed (the caller holds the lock)."""
        folder = staging / listing_id
        folder.mkdir(parents=True)
        return cls(folder, listing_id, now, snapshot)

    async def add(self, batch: pa.RecordBatch) -> None:
        """Append a batch of `LISTING_SCHEMA`; it is written in a thread while the next ones come."""
        if batch.num_rows == 0:
            return
        self._gathered.append(batch)
        self._gathered_rows += batch.num_rows
        if self._gathered_rows >= ROWS_A_GROUP:
            await self._written()
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, self._take()))

    async def complete(self, now: datetime) -> Listing:
        """Everything was added: put the marker."""
        await self._written()
        return await carried_through(asyncio.to_thread(self._finish, self._take(), now))

    async def abandon(self) -> None:
        """The listing broke off: remove what was written."""
        # A thread that still writes must not find its folder gone.
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self) -> list[pa.RecordBatch]:
        gathered, self._gathered, self._gathered_rows = self._gathered, [], 0
        return gathered

    async def _written(self) -> None:
        if self._writing is not None:
            # Shielded: the thread goes on when this is cancelled, and `abandon` waits for it.
            await asyncio.shield(self._writing)
            self._writing = None

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        if not batches:
            return
        rows = pa.Table.from_batches(batches, LISTING_SCHEMA)
        self._open_part().write_table(rows, row_group_size=ROWS_A_GROUP)
        self._rows += rows.num_rows
        self.objects += rows.num_rows
        self.bytes += pc.sum(rows.column("size")).as_py() or 0
        # `as_py` of a time would import pandas.
        earliest = _EPOCH + timedelta(microseconds=pc.min(rows.column("observed_at")).value)
        if self.observed_from is None or earliest < self.observed_from:
            self.observed_from = earliest
        if self._rows >= ROWS_A_PART:
            self._close_part()

    def _finish(self, rest: list[pa.RecordBatch], now: datetime) -> Listing:
        self._write(rest)
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

    def _open_part(self) -> pq.ParquetWriter:
        if self._writer is None:
            part = self.folder / f"part-{len(self._parts):05}.parquet"
            self._parts.append(part)
            self._writer = pq.ParquetWriter(part, LISTING_SCHEMA, **_STORED_AS)
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
