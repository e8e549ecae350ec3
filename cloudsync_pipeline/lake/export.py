"""Writes a table of a lake to one CSV or Parquet file, as it is or as it was."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cloudsync_pipeline.core.errors import StateError, StorageFull
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.attach import literal
from cloudsync_pipeline.lake.lake import Lake

_FORMULA = r"^[=+\-@\t\r\n'＝＋－＠]"  # OWASP, "CSV Injection", and the mark itself
"""Text that a spreadsheet would run, or that already begins with the mark."""


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "csv"
    PARQUET = "parquet"


_OPTIONS = {
    ExportFormat.CSV: "FORMAT csv, HEADER, FORCE_QUOTE *",
    ExportFormat.PARQUET: "FORMAT parquet, COMPRESSION zstd",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A written file.

    Attributes:
        snapshot_id: the state it holds.
        bytes: its size.
    """

    path: Path
    table: str
    snapshot_id: int
    rows: int
    bytes: int


def export(
    lake: Lake,
    table: str,
    target: Path,
    *,
    format: ExportFormat | None = None,  # noqa: A002 - the word that people look for
    snapshot: int | None = None,
    time: datetime | None = None,
) -> Export:
    """Write a table to a file that appears whole or not at all; memory stays flat.

    Parquet holds every value as it is. In CSV (UTF-8, RFC 4180) all values but NULL are quoted, and text that a
    spreadsheet could take for a formula gets one leading apostrophe, as does text that begins with one: take
    one off to get the value back.

    Args:
        table: one of `schema.TABLES`.
        target: the file; replaced if it is there.
        format: by the file's ending unless told.
        snapshot, time: the state to write; the newest with neither.

    Raises:
        SnapshotGone: that state has expired.
        StateError: there is no such table or format, or the file cannot be written.
        StorageFull: no room for the file.
    """
    if table not in schema.TABLES:
        raise StateError(
            f"The lake has no table {table!r}.",
            integration=lake.integration,
            remedy=f"It has {', '.join(schema.TABLES)}.",
        )
    wanted = format or _by_ending(target, lake.integration)
    version = lake.as_of(snapshot, time)
    source = f"SELECT {_columns(lake, table, version, wanted)} FROM {table} AT (VERSION => {version})"
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        rows = lake.scalar(f"COPY ({source} ORDER BY ALL) TO {literal(str(new))} ({_OPTIONS[wanted]})")
        size = new.stat().st_size
        os.replace(new, target)  # noqa: PTH105 - says what it does
    except OSError as error:
        raise StateError(
            f"{target} cannot be written: {error.strerror}.",
            integration=lake.integration,
            remedy="Choose another place for the export.",
        ) from error
    except StorageFull as error:
        raise StorageFull(
            f"No room for the export in {target.parent}.",
            integration=lake.integration,
            remedy="Free some space there, or choose another place.",
        ) from error
    finally:
        with suppress(OSError):
            new.unlink()
    return Export(target, table, version, int(rows or 0), size)


def _by_ending(target: Path, integration: str) -> ExportFormat:
    try:
        return ExportFormat(target.suffix.removeprefix(".").lower())
    except ValueError as error:
        raise StateError(
            f"{target.name} does not say in which format to write it.",
            integration=integration,
            remedy="End its name in .csv or .parquet.",
        ) from error


def _columns(lake: Lake, table: str, version: int, wanted: ExportFormat) -> str:
    if wanted is ExportFormat.PARQUET:
        return "*"
    columns = lake.read(
        f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {table} AT (VERSION => {version}))"
    )
    return ", ".join(_as_text(name, kind) for name, kind in columns)


def _as_text(name: str, kind: str) -> str:
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"
    text = f"to_json({name})::VARCHAR" if kind.endswith("[]") else name
    if kind == "VARCHAR" or kind.endswith("[]"):
        return f"CASE WHEN regexp_matches({text}, {literal(_FORMULA)}) THEN '''' || {text} ELSE {text} END AS {name}"
    return name
