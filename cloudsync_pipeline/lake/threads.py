"""How many threads DuckDB has: one, but for statements that look through many rows.

Of a small sync nearly all goes to statements that look at a few rows, and threads that wait for work are not idle:
with one thread it takes half the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

MANY_ROWS = 300_000
"""Below, one thread is as quick as two."""


class Threads:
    """Those of one instance of DuckDB, which one commit at a time uses.

    Args:
        most: that it may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._all = False

    @contextmanager
    def for_rows(self, rows: int, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Within it the connection's instance has all of its threads, where so many rows are looked through."""
        if rows < MANY_ROWS or self._most < 2 or self._all:
            yield
            return
        connection.execute(f"SET threads = {self._most}")
        self._all = True
        try:
            yield
        finally:
            self.one_again(connection)

    def one_again(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Have one thread, where it still has all. In a transaction that failed, nothing happens until that is over."""
        if not self._all:
            return
        with suppress(duckdb.Error):  # Of a connection that was ended, as its next use will tell.
            try:
                connection.execute("SET threads = 1")
            except duckdb.TransactionException:
                return
        self._all = False
