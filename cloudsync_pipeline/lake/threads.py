"""How many threads DuckDB has: one, but for a commit that looks at many rows.

Of a small sync nearly all goes to statements that look at a few rows, and threads that wait for work are not idle:
with one thread it takes half the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

MANY_ROWS = 300_000
"""Below, one thread is as quick as two."""


@contextmanager
def threads_for(rows: int, connection: duckdb.DuckDBPyConnection, threads: int) -> Iterator[None]:
    """Within it the connection's instance has all of its threads, where so many rows are looked at; else one, as ever.

    Args:
        threads: that it may have.
    """
    if rows < MANY_ROWS or threads < 2:
        yield
        return
    connection.execute(f"SET threads = {threads}")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # Of a connection that was ended, as its next use will tell.
            connection.execute("SET threads = 1")
