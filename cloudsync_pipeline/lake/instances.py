"""DuckDB instances with their extensions loaded, kept for the next opening of the same lake in this process.

Loading the extensions takes a quarter of a second of CPU, most of what opening a lake costs, and a Dagster run opens
its lake at every step. A kept instance has no lake attached, so it holds no file and no lock. What DuckDB has read of a
bucket it remembers, and does not ask the bucket again: an instance serves the same lake by the same keys alone.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cloudsync_pipeline.lake.attach import CATALOG, connect, load_extension
from cloudsync_pipeline.lake.location import Location

KEPT = 2
"""Instances kept at most, over all lakes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Settings of an instance, as `attach.connect` takes them, and the lake that it is for, keys included.

    Attributes:
        threads: that it may be given.
    """

    memory_limit: str | None
    threads: int
    temp_directory: Path | None
    location: Location


_kept: list[tuple[tuple[Kind, int], duckdb.DuckDBPyConnection]] = []
_guard = threading.Lock()


def borrow(kind: Kind) -> duckdb.DuckDBPyConnection:
    """An instance of this kind, kept or new, with one thread: its lake takes the others when there is work for them.

    Raises:
        StateError: an extension cannot be loaded.
    """
    key = (kind, os.getpid())  # a forked process must not use its parent's instance
    with _guard:
        for index, (known, connection) in enumerate(_kept):
            if known == key:
                del _kept[index]
                return connection
    connection = connect(memory_limit=kind.memory_limit, threads=1, temp_directory=kind.temp_directory)
    try:
        for name in kind.location.extensions:
            load_extension(connection, name)
    except BaseException:
        connection.close()
        raise
    return connection


def give_back(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Detach the lake and keep the instance, or close it where that fails or enough are kept."""
    try:
        connection.execute("USE memory")
        connection.execute(f"DETACH {CATALOG}")
        for (name,) in connection.execute("SELECT name FROM duckdb_secrets()").fetchall():
            connection.execute(f"DROP SECRET {name}")
    except duckdb.Error:
        connection.close()
        return
    with _guard:
        _kept.append(((kind, os.getpid()), connection))
        surplus = [connection for _, connection in _kept[:-KEPT]]
        del _kept[:-KEPT]
    for one in surplus:
        one.close()
