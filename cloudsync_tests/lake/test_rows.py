"""Rows of this process arrive in a temporary table as they are, whether a column varies or not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from cloudsync_pipeline.lake import Connection, Lake
from cloudsync_pipeline.lake.rows import put_rows
from cloudsync_tests.lake.builders import NOON

_FIELDS: list[pa.Field[Any]] = [
    pa.field("name", pa.string()),
    pa.field("count", pa.int64()),
    pa.field("share", pa.float64()),
    pa.field("known", pa.bool_()),
    pa.field("at", pa.timestamp("us", tz="UTC")),
    pa.field("parts", pa.list_(pa.string())),
]
_SCHEMA = pa.schema(_FIELDS)
_ONE = {"name": "a", "count": 2**40, "share": 0.1, "known": True, "at": NOON, "parts": ["x", "y"]}
_NONE = dict.fromkeys(_SCHEMA.names)
_LATER = NOON + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [_ONE],
        [_NONE],
        [_ONE, _ONE],
        [_NONE, _NONE],
        [_ONE, _NONE],
        [_ONE, {**_ONE, "at": _LATER}],
        [{**_ONE, "name": f"quote ' {number}", "parts": [str(number)]} for number in range(300)],
        [{**_ONE, "known": number == 1, "count": number} for number in range(3)],
    ],
    ids=len,
)
def test_rows_arrive_as_they_are(lake: Lake, rows: list[dict[str, Any]]) -> None:
    def work(connection: Connection) -> tuple[list[str], list[tuple[Any, ...]]]:
        put_rows(connection, "given", _SCHEMA, rows)
        types = [row[1] for row in connection.execute("DESCRIBE given").fetchall()]
        return types, connection.execute("FROM given").fetchall()

    types, found = lake.commit(work, run_id="r", step="test", message="rows")
    assert types == ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]"]
    expected = [tuple(row[name] for name in _SCHEMA.names) for row in rows]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_what_a_row_does_not_name_is_null(lake: Lake) -> None:
    def work(connection: Connection) -> list[tuple[Any, ...]]:
        put_rows(connection, "given", _SCHEMA, [{"name": "a"}, {"name": "b", "count": 1}])
        return connection.execute('SELECT name, count, "at" FROM given ORDER BY name').fetchall()

    assert lake.commit(work, run_id="r", step="test", message="rows") == [("a", None, None), ("b", 1, None)]
