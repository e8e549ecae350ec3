"""Listings as Arrow batches, made without `pa.array` and its kin: these import pandas, a second of CPU."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.storage.base import LISTING_SCHEMA

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def listing_batch(columns: Mapping[str, Sequence[Any] | pa.Array[Any]], count: int) -> pa.RecordBatch:
    """A batch of `LISTING_SCHEMA`.

    Args:
        columns: by name, of `count` values each: text, integers, or aware times, None for NULL; or made into an array
            already. Those left out are NULL throughout.
    """
    arrays = [
        _column(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in LISTING_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=LISTING_SCHEMA)


def text_array(values: Sequence[str | None]) -> pa.Array[Any]:
    """Texts, None for NULL."""
    text = pa.lib.StringBuilder()
    text.append_values(values)
    return text.finish()


def repeated(moment: datetime, count: int) -> pa.Array[Any]:
    """An aware time as every value of a column."""
    ticks = array("q", [(moment - _EPOCH) // _TICK]) * count
    return pa.Array.from_buffers(pa.timestamp("us", tz="UTC"), count, [None, pa.py_buffer(ticks)])


def _column(values: Sequence[Any] | pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_string(kind):
        return text_array(values)
    if pa.types.is_timestamp(kind):
        values = [None if value is None else (value - _EPOCH) // _TICK for value in values]
    numbers = array("q", [value or 0 for value in values])
    return pa.Array.from_buffers(kind, len(values), [_present(values), pa.py_buffer(numbers)])


def _present(values: Sequence[object]) -> pa.Buffer | None:
    """Arrow's validity bitmap: one bit a value, least significant first; None where none is missing."""
    if None not in values:
        return None
    bits = sum(1 << place for place, value in enumerate(values) if value is not None)
    return pa.py_buffer(bits.to_bytes((len(values) + 7) // 8, "little"))
