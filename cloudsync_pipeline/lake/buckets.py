"""Large tables looked at part by part, so that joining or sorting them takes no more memory than a lake may.

DuckDB spills only a part of what a join holds: with 4,000,000 rows, half of them changed, one join of all of them
asked for more than 256 MB, and failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cloudsync_pipeline.lake.lake import Connection

BYTES_A_ROW = 400
"""Of the memory limit, for each row of a bucket: some six times what a row takes that is joined."""
BYTES_A_WIDE_ROW = 1000
"""The same for rows that are joined and sorted with all of their columns."""

_SAMPLED = 10_000


def of(connection: Connection, rows: int) -> Sequence[str]:
    """Conditions that part rows by the hash of their key, `{}`; one that is always true where there are few.

    Args:
        rows: how many there are in all, about.
    """
    count = _parts(connection, rows * BYTES_A_ROW)
    if count <= 1:
        return ["true"]
    return [f"hash({{}}) % {count} = {number}" for number in range(count)]


@dataclass(frozen=True, slots=True)
class Span:
    """Paths that follow each other: from `low` on, and before `high`; None is behind all of them.

    Parquet files that are sorted by path are read for a span only where it lies in them.
    """

    low: str
    high: str | None

    @property
    def ends(self) -> dict[str, str | None]:
        """The parameters of `within`."""
        return {"low": self.low, "high": self.high}


def within(column: str) -> str:
    """The condition that a path lies in a span, whose `ends` are the parameters."""
    return f"({column} >= $low AND ($high IS NULL OR {column} < $high))"


def spans(connection: Connection, table: str, rows: int, *, wide: bool = True) -> Sequence[Span]:
    """Spans of about as many rows each, in the order of paths, that together hold every path.

    Args:
        table: of which paths are sampled, in a column `path`; other tables should be spread alike.
        rows: how many there are to be looked at, about.
        wide: with all of their columns.
    """
    count = _parts(connection, rows * (BYTES_A_WIDE_ROW if wide else BYTES_A_ROW))
    if count <= 1:
        return [Span("", None)]
    sampled = connection.execute(
        f"SELECT path FROM (SELECT path FROM {table} USING SAMPLE reservoir({_SAMPLED} ROWS)) ORDER BY path"
    ).fetchall()
    ends = sorted({sampled[len(sampled) * number // count][0] for number in range(1, count)})
    return [Span(low, high) for low, high in zip(["", *ends], [*ends, None], strict=True)]


def _parts(connection: Connection, needed: int) -> int:
    found = connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchone()
    return math.ceil(needed / found[0]) if found else 1
