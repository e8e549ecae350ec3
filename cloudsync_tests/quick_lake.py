"""A lake whose tables are plain DuckDB tables in memory: the engine's SQL runs as it is, some fifty times faster.

What is DuckLake's own (Parquet, catalogs, conflicts between writers) is tested elsewhere; here thousands of syncs
are. Times travel by copies of the few tables that the engine reads as of a snapshot.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import SnapshotGone
from cloudsync_pipeline.engine.session import utc_now
from cloudsync_pipeline.lake import Lake, schema
from cloudsync_pipeline.lake.attach import CATALOG
from cloudsync_pipeline.lake.faults import translate
from cloudsync_pipeline.lake.location import Folder
from cloudsync_pipeline.lake.threads import Threads
from cloudsync_pipeline.lake.unseen import pandas_unseen

T = TypeVar("T")

_AS_OF = re.compile(r"\b(\w+) AT \(VERSION => (\d+)\)")
_CHANGING = re.compile(r"\b(?:INSERT INTO|DELETE FROM|UPDATE|MERGE INTO) (\w+)")
_TRAVELLING = ("owed", "files")
"""Tables that the engine reads as of a snapshot."""
_DIGESTED = (*_TRAVELLING, "objects")
"""Tables of which the engine asks when they changed."""


class Travelling:
    """A DuckDB connection that reads `table AT (VERSION => n)` from a copy, and knows which tables were written to."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self.changed: set[str] = set()

    def execute(self, sql: str, params: object = ()) -> DuckDBPyConnection:
        self.changed.update(_CHANGING.findall(sql))
        if " AT (" in sql:
            sql = _AS_OF.sub(r"\1__\2", sql)
        with pandas_unseen():
            return self._connection.execute(sql, params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@dataclass
class _Versions:
    """What outlives one opening: the newest snapshot, when each table changed last, and a digest of its rows then."""

    clock: Callable[[], datetime]
    newest: int = 0
    changed_at: dict[str, int] = field(default_factory=dict)
    digests: dict[str, object] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)


class QuickLake(Lake):
    """See the module's docstring. `again` opens it anew, as the next process would."""

    @classmethod
    def made(cls, folder: Path, clock: Callable[[], datetime] = utc_now) -> QuickLake:
        """A new, empty one; only listings are on disk.

        Args:
            clock: gives the snapshots their times.
        """
        connection = duckdb.connect(":memory:", config={"threads": 1})
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"ATTACH ':memory:' AS {CATALOG}")
        connection.execute(f"USE {CATALOG}")
        connection.execute(
            "CREATE TABLE snapshots (snapshot_id BIGINT, snapshot_time TIMESTAMPTZ, schema_version BIGINT)"
        )
        connection.execute("CREATE MACRO ducklake_snapshots(name) AS TABLE SELECT * FROM snapshots")
        for number in range(1, schema.VERSION + 1):
            schema.migrate(connection, number)
        for name in ("staging", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        return cls(connection, folder, _Versions(clock))

    before_commit: Callable[[str], None] | None
    after_commit: Callable[[str], None] | None

    def __init__(self, connection: DuckDBPyConnection, folder: Path, versions: _Versions) -> None:
        # None of a real lake's files and pools.
        self.folder = folder
        self.integration = "world"
        self.read_only = False
        self.location = Folder(folder)
        self.files = self.location.files
        self.staging = folder / "staging"
        self.before_commit = None
        self.after_commit = None
        self._renew = lambda: None
        self._threads = Threads(1)
        self._root = connection
        self._versions = versions
        self._writing = threading.RLock()
        self._cursors = threading.Lock()
        self._idle = []
        self._closed = False
        self._writer = self._cursor()

    def close(self) -> None:
        self._closed = True
        for cursor in (*self._idle, self._writer, self._root):
            cursor.close()

    def again(self) -> QuickLake:
        """The same tables, as a process sees them that opens them after this one died."""
        return QuickLake(self._root.cursor(), self.folder, self._versions)

    def _cursor(self) -> DuckDBPyConnection:
        cursor = self._root.cursor()
        cursor.execute(f"USE {CATALOG}")
        return Travelling(cursor)  # type: ignore[return-value]

    def commit(
        self,
        work: Callable[[DuckDBPyConnection], T],
        *,
        run_id: str,
        step: str,
        message: str = "",
        info: Mapping[str, Any] | None = None,
        unique: Sequence[str] = (),
        rows: int = 0,
    ) -> T:
        with self._writing:
            if self.before_commit is not None:
                self.before_commit(step)
            writer = self._writer
            changed: set[str] = getattr(writer, "changed", set())
            changed.clear()
            writer.execute("BEGIN")
            try:
                result = work(writer)
                for table in unique:
                    columns = ", ".join(schema.ONE_ROW_EACH[table])
                    twice = writer.execute(
                        f"SELECT {columns} FROM {table} GROUP BY {columns} HAVING count(*) > 1"
                    ).fetchall()
                    assert twice == [], f"twice in {table} after {step}: {twice}"
                number = self._versions.newest + 1
                digests = {name: self._digest(name) for name in changed.intersection(_DIGESTED)}
                self._keep(number, digests)
            except duckdb.Error as error:
                writer.execute("ROLLBACK")
                raise translate(error, self.integration, f"committing {step}") from error
            except BaseException:
                writer.execute("ROLLBACK")
                raise
            writer.execute("COMMIT")
            self._note(number, digests)
            if self.after_commit is not None:
                self.after_commit(step)
            return result

    def _digest(self, table: str) -> object:
        return self._writer.execute(f"SELECT count(*), bit_xor(hash(t)) FROM {table} t").fetchone()

    def _keep(self, number: int, digests: Mapping[str, object]) -> None:
        """Within a commit: its time, and copies of the tables that are read as of a snapshot."""
        self._writer.execute("INSERT INTO snapshots VALUES (?, ?, 1)", [number, self._versions.clock()])
        for table in _TRAVELLING:
            copied = self._versions.copied.get(table)
            if copied and table not in digests:
                # As it was: the copy before is read under this number too.
                self._writer.execute(f"CREATE VIEW {table}__{number} AS FROM {table}__{copied}")
            else:
                self._writer.execute(f"CREATE TABLE {table}__{number} AS FROM {table}")

    def _note(self, number: int, digests: Mapping[str, object]) -> None:
        versions = self._versions
        versions.newest = number
        for table, digest in digests.items():
            if versions.digests.get(table) != digest:
                versions.digests[table] = digest
                versions.changed_at[table] = number
        for table in _TRAVELLING:
            if table in digests or table not in versions.copied:
                versions.copied[table] = number

    def current_snapshot(self) -> int:
        return self._versions.newest

    def as_of(self, snapshot: int | None = None, time: datetime | None = None) -> int:
        if snapshot is not None and not 0 < snapshot <= self._versions.newest:
            raise SnapshotGone(f"Snapshot {snapshot} never was.", integration=self.integration)
        return self._versions.newest if snapshot is None else snapshot

    def last_change(self, *tables: str) -> int:
        return max((self._versions.changed_at.get(table, 0) for table in tables), default=0)
