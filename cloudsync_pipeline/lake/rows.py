"""Rows of this process as a temporary table of a connection.

They travel as JSON. An Arrow table would do too, but to make or to register one imports pandas, which costs each
process a second of CPU before its first sync. A column that is the same in all rows travels as one parameter: of a
batch of outcomes two columns in three are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "int32": "INTEGER",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "list<item: string>": "VARCHAR[]",
}


_DIFFERENT = object()


def put_rows(
    connection: DuckDBPyConnection, table: str, schema: pa.Schema, rows: Iterable[Mapping[str, object]]
) -> None:
    """Make a temporary table of these rows, in place of one of that name.

    Args:
        table: a name of ours.
        schema: its columns; what a row does not name is NULL.
        rows: values as Python has them; times are aware.
    """
    names, given = schema.names, list(rows)
    alike = {name: value for name in names[1:] if (value := _same(name, given)) is not _DIFFERENT}
    varying = tuple(name for name in names if name not in alike)
    text = json.dumps([{name: row.get(name) for name in varying} for row in given], default=_told)
    columns = ", ".join(
        f'CAST(? AS {_type_of(schema, name)}) AS "{name}"' if name in alike else f'"{name}"' for name in names
    )
    # The strict form: a value that does not fit is an error, not NULL.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {columns} "
        f"FROM (SELECT unnest(from_json_strict(?, '{_structure(schema, varying)}'), recursive := true))",
        [*alike.values(), text],
    )


def _same(name: str, rows: Sequence[Mapping[str, object]]) -> object:
    """The value that all rows have in a column."""
    first = rows[0].get(name) if rows else _DIFFERENT
    if isinstance(first, list) or any(row.get(name) != first for row in rows):
        return _DIFFERENT
    return first


def as_list(values: Iterable[str]) -> str:
    """Text for `from_json(?, '["VARCHAR"]')`: one parameter, where a Python list would be taken in value by value."""
    return json.dumps(list(values))


@cache
def _structure(schema: pa.Schema, names: tuple[str, ...]) -> str:
    return json.dumps([{name: _type_of(schema, name) for name in names}])


def _type_of(schema: pa.Schema, name: str) -> str:
    return _TYPES[str(schema.field(name).type)]


def _told(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no form in a lake")
    return value.isoformat()
