"""One integration's lake: opened, committed to, and read.

Where it is kept is its `Location`: by default a folder with `catalog.sqlite` (DuckLake's catalog), `data/` (Parquet),
`staging/` (listings that are not merged yet) and `tmp/` (DuckDB's spill). Writers hold the integration's lock;
readers need none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa
from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import schema, versions
from cloudsync_pipeline.lake.attach import CATALOG, connect
from cloudsync_pipeline.lake.commit import commit
from cloudsync_pipeline.lake.faults import translate, translated
from cloudsync_pipeline.lake.location import Folder, Location
from cloudsync_pipeline.lake.threads import Threads
from cloudsync_pipeline.lake.unseen import pandas_unseen
from cloudsync_pipeline.lake.versions import Change, Snapshot

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Params = Sequence[Any] | Mapping[str, Any]
Connection = DuckDBPyConnection

_ROWS = 10_000


class Lake:
    """See the module's docstring. Safe to use from several threads; commits take turns."""

    def __init__(
        self,
        connection: Connection,
        *,
        location: Location,
        integration: str,
        read_only: bool,
        threads: int,
        fence: Callable[[Connection], None] | None = None,
        renew: Callable[[], None],
    ) -> None:
        self.location = location
        self.integration = integration
        self.read_only = read_only
        self.files = location.files
        self.folder = location.folder
        self.staging = location.folder / "staging"
        self._fence = fence
        self._renew = renew
        self._root = connection
        self._threads = Threads(threads)
        self._writing = threading.RLock()
        self._within_commit = False
        self._cursors = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._writer = self._cursor()

    @classmethod
    def open(
        cls,
        location: Location | Path,
        *,
        integration: str,
        read_only: bool = False,
        memory_limit: str | None = "512MB",
        threads: int = 2,
        create: bool = True,
        fence: Callable[[Connection], None] | None = None,
        fence_number: int | None = None,
    ) -> Lake:
        """Open a lake, creating or migrating it where that is needed and allowed.

        Args:
            location: where it is kept; a path means that folder, with all of it inside.
            integration: whose lake it is, for messages.
            read_only: open for reading, beside any writer; nothing is created or migrated.
            memory_limit: of DuckDB, as it spells it; None for DuckDB's own default.
            threads: of DuckDB, at most; see `threads.MANY_ROWS`.
            create: make a lake where there is none.
            fence: called in every commit with its connection; raises LockLost to stop it.
            fence_number: the writer's own, greater than that of every writer before; None joins whoever writes.
                Catalogs that several machines reach refuse the commits of smaller ones.

        Raises:
            StateError: there is no lake and none may be made, or it cannot be opened.
            LockLost: a writer with a higher fence has opened it since.
            SchemaTooNew: a newer release wrote it.
            StorageFull: no room to make it.
        """
        if isinstance(location, Path):
            location = Folder(location.absolute())
        if (read_only or not create) and not location.exists():
            raise StateError(
                f"There is no lake in {location}.",
                integration=integration,
                remedy="Run the integration's initial sync; it makes one.",
            )
        if (location.folder / ".before-restore").exists():
            raise StateError(
                f"A restore of the lake in {location} was interrupted.",
                integration=integration,
                remedy=f"Do it again: cloudsync restore --integration {integration}",
            )
        if not read_only:
            for name in ("staging", "tmp"):
                (location.folder / name).mkdir(parents=True, exist_ok=True)
        connection = connect(
            memory_limit=memory_limit,
            threads=1,
            temp_directory=location.folder / "tmp",
            extensions=location.extensions,
        )
        try:
            renew = location.attach(connection, read_only=read_only, integration=integration, fence=fence_number)
            lake = cls(
                connection,
                location=location,
                integration=integration,
                read_only=read_only,
                threads=threads,
                fence=fence,
                renew=renew,
            )
            lake._migrate()
        except BaseException:
            connection.close()
            raise
        return lake

    def _migrate(self) -> None:
        with translated(self.integration, "reading the lake's schema version"), pandas_unseen():
            version = schema.stored_version(self._writer)
        schema.check(version, integration=self.integration, read_only=self.read_only)
        for number in range(version + 1, schema.VERSION + 1):

            def work(connection: Connection, number: int = number) -> None:
                if number == 1:
                    schema.store_as_wanted(connection)
                schema.migrate(connection, number)

            self.commit(work, run_id="schema", step="migrate", message=f"to version {number}")

    # --- writing --------------------------------------------------------------------------------

    def commit(
        self,
        work: Callable[[Connection], T],
        *,
        run_id: str,
        step: str,
        message: str = "",
        info: Mapping[str, Any] | None = None,
        unique: Sequence[str] = (),
        rows: int = 0,
    ) -> T:
        """Run `work` in one transaction, and commit it as one snapshot.

        Args:
            work: SQL only, on the connection it is given. It may run more than once: when another writer came
                between, everything is rolled back and run again. Temporary tables live on that connection and
                outlast the commit; use CREATE OR REPLACE TEMP TABLE.
            run_id: who commits; the snapshot's author.
            step: what part of a sync this is ("merge"); begins the snapshot's message.
            message: what it did, in words.
            info: kept with the snapshot as JSON.
            unique: tables in which no key may stand twice afterwards (`schema.ONE_ROW_EACH` has the keys). Only
                keys of rows written here are looked at: at most one scan of the key column.
            rows: how many that check looks through, about; see `looking_through`.

        Returns:
            What `work` returned. A commit that changed nothing makes no snapshot.

        Raises:
            CommitFailed: other writers kept coming between; nothing was committed.
            StorageFull: the disk has no room; nothing was committed.
            StateError: a statement failed, or a key would stand twice; nothing was committed.
        """
        if self.read_only:
            raise StateError("The lake is open for reading only.", integration=self.integration)
        with self._writing:
            if self._within_commit:
                raise RuntimeError("a commit's work must use the connection it is given, not commit again")
            self._within_commit = True
            try:
                self._renew()
                return commit(
                    self._writer,
                    work,
                    integration=self.integration,
                    author=run_id,
                    message=f"{step}: {message}" if message else step,
                    info=info or {},
                    unique=unique,
                    checking=partial(self.looking_through, rows),
                    fence=self._fence,
                )
            finally:
                self._within_commit = False
                self._threads.one_again(self._writer)

    def looking_through(self, rows: int) -> AbstractContextManager[None]:
        """Within a commit's work: statements that look through about so many rows, for which DuckDB has all of its
        threads from `threads.MANY_ROWS` on.
        """
        return self._threads.for_rows(rows, self._writer)

    # --- reading --------------------------------------------------------------------------------

    def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query on the newest snapshot; times are aware UTC. For results that are known to be small."""
        with self._reading(sql, params) as result:
            return _aware(result, result.fetchall())

    def one(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self._reading(sql, params) as result:
            row = result.fetchone()
            return None if row is None else _aware(result, [row])[0]

    def scalar(self, sql: str, params: Params = ()) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def arrow(self, sql: str, params: Params = ()) -> pa.Table:
        """All rows as one Arrow table. For results that fit into memory."""
        with self._reading(sql, params) as result:
            return result.to_arrow_table()

    def batches(self, sql: str, params: Params = (), rows: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in Arrow batches of about `rows`, read as they are asked for: memory stays flat.

        All of it is read from one snapshot, the newest when the iteration began. Exhaust or close the iterator.
        """
        with self._reading(sql, params) as result:
            reader = result.to_arrow_reader(rows)
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except (OSError, pa.ArrowException) as error:  # How Arrow passes DuckDB's errors on.
                    raise translate(error, self.integration, "reading the lake") from error
                yield batch

    def frame(self, sql: str, params: Params = ()) -> pd.DataFrame:
        """All rows as a pandas frame, for people."""
        with self._reading(sql, params) as result:
            return result.to_arrow_table().to_pandas()

    # --- versions -------------------------------------------------------------------------------

    def current_snapshot(self) -> int:
        """The id of the newest snapshot."""
        return versions.newest(self)

    def snapshots(self, limit: int = 100) -> list[Snapshot]:
        """The newest snapshots, newest first."""
        return versions.snapshots(self, limit)

    def as_of(self, snapshot: int | None = None, time: datetime | None = None) -> int:
        """The id of a snapshot that can be read now, as in `files AT (VERSION => id)`.

        Args:
            snapshot: an id; it is checked.
            time: aware; the newest snapshot committed at or before it. With neither, the newest one.

        Raises:
            SnapshotGone: it has expired, or never was.
        """
        return versions.resolve(self, snapshot, time)

    def changes(self, table: str, start: int, end: int) -> Iterator[Change]:
        """The rows of `table` that changed after snapshot `start`, up to and with `end`, in the order of commits.

        Raises:
            SnapshotGone: one of the two has expired.
            StateError: there is no such table.
        """
        return versions.changes(self, table, start, end)

    def last_change(self, *tables: str) -> int:
        """The newest snapshot that changed a row of any of these tables: their data version.

        It does not move when a lake is compacted or old snapshots expire; 0 for tables that never held a row.
        """
        return versions.last_change(self, tables)

    # --- connections ----------------------------------------------------------------------------

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        with self._cursors:
            done, self._closed = self._closed, True
            idle, self._idle = self._idle, []
        if done:
            return
        for cursor in (*idle, self._writer, self._root):
            cursor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cursor(self) -> Connection:
        cursor = self._root.cursor()
        cursor.execute(f"USE {CATALOG}")
        return cursor

    @contextmanager
    def _reading(self, sql: str, params: Params) -> Iterator[Connection]:
        """A connection of the caller's own for one query, so that threads do not read each other's results."""
        with self._cursors:
            if self._closed:
                raise StateError("The lake is closed.", integration=self.integration)
            cursor = self._idle.pop() if self._idle else None
        self._renew()
        with translated(self.integration, "reading the lake"):
            if cursor is None:
                cursor = self._cursor()
            done = False
            try:
                with pandas_unseen():
                    cursor.execute(sql, params)
                yield cursor
                done = True
            finally:
                with self._cursors:
                    keep = done and not self._closed
                    if keep:
                        self._idle.append(cursor)
                if not keep:
                    cursor.close()


def _aware(result: Connection, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    times = [i for i, column in enumerate(result.description or ()) if str(column[1]) == "TIMESTAMP WITH TIME ZONE"]
    if not times:
        return rows
    return [tuple(v.astimezone(UTC) if i in times and v is not None else v for i, v in enumerate(row)) for row in rows]
