"""Runs the SQL scripts of this room, statement by statement, each with the parameters that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from cloudsync_pipeline.lake.lake import Connection
from cloudsync_pipeline.lake.schema import sql

_PARAMETER = re.compile(r"\$([a-z_]+)")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


@cache
def _statements(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    text = _COMMENT.sub("", sql(name))
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return tuple((part, tuple(dict.fromkeys(_PARAMETER.findall(part)))) for part in parts)


def run_script(connection: Connection, name: str, params: Mapping[str, Any]) -> None:
    """Run `lake/sql/<name>.sql`; its literals hold no semicolon, its parameters are written `$name`."""
    for statement, names in _statements(name):
        connection.execute(statement, {wanted: params[wanted] for wanted in names})
