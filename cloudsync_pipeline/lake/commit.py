"""One transaction on a lake, with its author, its checks, and its retries."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import CommitFailed, StateError
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.attach import CATALOG
from cloudsync_pipeline.lake.faults import in_one_line, is_contention, is_ended, translate
from cloudsync_pipeline.lake.unseen import pandas_unseen

T = TypeVar("T")

ATTEMPTS = 10
FIRST_WAIT = 0.05
"""Seconds before a commit that met another writer is tried again; doubled each time, up to `LONGEST_WAIT`."""
LONGEST_WAIT = 2.0


def commit(
    connection: DuckDBPyConnection,
    work: Callable[[DuckDBPyConnection], T],
    *,
    integration: str,
    author: str,
    message: str,
    info: Mapping[str, Any],
    unique: Sequence[str],
    checking: Callable[[], AbstractContextManager[None]],
    fence: Callable[[DuckDBPyConnection], None] | None,
) -> T:
    """See `Lake.commit`."""
    doing = f"committing {message!r}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with pandas_unseen():
                return _transaction(connection, work, integration, author, message, info, unique, checking, fence)
        except duckdb.Error as error:
            # Ended by who takes over, the next try is told so by the fence; by a restart, it succeeds.
            if not is_contention(error) and not is_ended(error):
                raise translate(error, integration, doing) from error
            failure = error
        if attempt < ATTEMPTS:
            wait = min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT)
            time.sleep(wait * random.uniform(0.5, 1.0))
    raise CommitFailed(
        f"Other writers came between {ATTEMPTS} times while {doing}: {in_one_line(failure)}.",
        integration=integration,
        remedy="Nothing was committed; the next run tries again. Find what writes to this lake without its lock.",
    ) from failure


def _transaction(
    connection: DuckDBPyConnection,
    work: Callable[[DuckDBPyConnection], T],
    integration: str,
    author: str,
    message: str,
    info: Mapping[str, Any],
    unique: Sequence[str],
    checking: Callable[[], AbstractContextManager[None]],
    fence: Callable[[DuckDBPyConnection], None] | None,
) -> T:
    commit_id = uuid.uuid4().hex
    connection.execute("BEGIN")
    try:
        if fence is not None:
            fence(connection)
        result = work(connection)
        with checking():
            for table in unique:
                assert_unique(connection, table, integration)
        connection.execute(
            f"CALL {CATALOG}.set_commit_message(?, ?, extra_info => ?)",
            [author, message, json.dumps({**info, "commit": commit_id}, default=str)],
        )
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except BaseException as error:
        _roll_back(connection)
        # The answer to a COMMIT can get lost on its way; the snapshot tells whether it happened.
        if isinstance(error, duckdb.Error):
            committed = _is_committed(connection, commit_id)
            if committed:
                return result
            if committed is None and is_ended(error):  # It may have been, and is not to be done twice.
                raise translate(error, integration, f"committing {message!r}") from error
        raise
    return result


def assert_unique(connection: DuckDBPyConnection, table: str, integration: str) -> None:
    """Within a transaction, that no key it wrote to `table` stands there twice.

    Raises:
        StateError: one does; the message names it.
    """
    columns = ", ".join(schema.ONE_ROW_EACH[table])
    # Rows written by this transaction have no snapshot yet. Looking at their keys alone keeps the check
    # at one scan of the key column instead of a hash table of the whole one.
    touched = f"SELECT {columns} FROM {CATALOG}.{table} WHERE snapshot_id IS NULL"
    twice = connection.execute(
        f"SELECT {columns} FROM {CATALOG}.{table} SEMI JOIN ({touched}) USING ({columns}) "
        f"GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice is not None:
        raise StateError(
            f"A commit would have left {' / '.join(map(str, twice))!r} twice in the table {table}.",
            integration=integration,
            remedy="Nothing was committed. Please report this as a defect, with the run's log.",
        )


def _roll_back(connection: DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # A failed COMMIT has rolled back by itself.
        connection.execute("ROLLBACK")


def _is_committed(connection: DuckDBPyConnection, commit_id: str) -> bool | None:
    """Whether a commit's snapshot is there; None where the catalog cannot be asked."""
    with suppress(duckdb.Error):
        found = connection.execute(
            f"SELECT 1 FROM ducklake_snapshots('{CATALOG}') WHERE contains(commit_extra_info, ?)", [commit_id]
        ).fetchone()
        return found is not None
    return None
