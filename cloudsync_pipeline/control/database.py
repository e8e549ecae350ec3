"""Opens the control database: SQLite by default, PostgreSQL by URL; creates and migrates its tables."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from cloudsync_pipeline.control import tables
from cloudsync_pipeline.control.mounts import network_file_system
from cloudsync_pipeline.core.errors import ConfigError, SchemaTooNew, StateError, StorageFull

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

log = logging.getLogger(__name__)

_BUSY = 15_000
"""Milliseconds a writer waits for another one; every transaction here takes a few."""
_NEEDS_BYTES = 256 * 1024
"""Less than this is too little for what SQLite keeps beside a database."""
_IDLE = 30_000
"""Milliseconds until PostgreSQL ends a transaction whose process does not go on, so that what it locked is free."""
_ADVISORY_LOCK = 0x636C6F75
"""Any number of our own: keeps two processes from migrating a PostgreSQL database at once."""


def _first(connection: sa.Connection) -> None:
    first = [tables.schema_version, tables.integrations, tables.run_results, tables.heartbeats]
    tables.metadata.create_all(connection, tables=first)


def _inbox(connection: sa.Connection) -> None:
    tables.inbox.create(connection)


def _leases(connection: sa.Connection) -> None:
    tables.leases.create(connection)


def _alerts(connection: sa.Connection) -> None:
    tables.alerts.create(connection)


def _measures(connection: sa.Connection) -> None:
    tables.measures.create(connection)


def _rests(connection: sa.Connection) -> None:
    _add_columns(connection, tables.integrations, "feed_mark", "next_try_at", "last_checked_at")


def _put_offs(connection: sa.Connection) -> None:
    _add_columns(connection, tables.integrations, "put_off_until")


def _unfinished(connection: sa.Connection) -> None:
    _add_columns(connection, tables.integrations, "unfinished_since")


def _add_columns(connection: sa.Connection, table: sa.Table, *names: str) -> None:
    """Add columns of today's table; one made by an earlier migration just now has them already."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in there:
            kind = table.c[name].type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    _first,
    _inbox,
    _leases,
    _alerts,
    _measures,
    _rests,
    _put_offs,
    _unfinished,
)
"""Migration n, counted from 1, takes the tables from version n - 1 to n. Only ever append."""


class Database:
    """Short transactions on the control database, with errors of ours."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect, and create or migrate the tables.

        Args:
            url: an SQLAlchemy URL: `sqlite:////folder/control.sqlite`, or `postgresql://user:password@host/name`.

        Raises:
            ConfigError: the URL cannot be used, or its driver is not installed.
            SchemaTooNew: a newer release wrote it.
            StateError: it cannot be reached.
        """
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as error:
            raise ConfigError(
                "The URL of the control database is not one.",
                remedy="Write it like sqlite:////folder/control.sqlite or postgresql://user@host/name.",
            ) from error
        if parsed.drivername in {"postgres", "postgresql"}:
            # The driver that the `postgres` extra brings; SQLAlchemy's own choice depends on its release.
            parsed = parsed.set(drivername="postgresql+psycopg2")
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise ConfigError(
                f"The control database cannot be of the kind {parsed.get_backend_name()!r}.",
                remedy="Use sqlite or postgresql.",
            )
        try:
            engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed)
        except ImportError as error:
            raise ConfigError(
                f"The driver for the control database is not installed: {error.name}.",
                remedy="Run: pip install 'cloudsync-pipeline[postgres]'",
            ) from error
        database = cls(engine)
        try:
            database._migrate()
        except BaseException:
            engine.dispose()
            raise
        return database

    @property
    def shared(self) -> bool:
        """Whether several machines may use it at once: it is on a server."""
        return self._engine.dialect.name == "postgresql"

    @property
    def where(self) -> str:
        """The URL, without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that only reads."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction; committed at the end, rolled back on an error."""
        with self._translated(), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    def _migrate(self) -> None:
        with self.reading() as connection:
            if _version(connection) == len(MIGRATIONS):
                return
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            version = _version(connection)
            if version > len(MIGRATIONS):
                raise SchemaTooNew(
                    f"The control database has schema version {version}; this release knows versions up to "
                    f"{len(MIGRATIONS)}.",
                    remedy="Use the release that wrote it, or a newer one.",
                )
            for number, migrate in enumerate(MIGRATIONS[version:], start=version + 1):
                migrate(connection)
                connection.execute(tables.schema_version.insert().values(version=number, migrated_at=datetime.now(UTC)))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            # The driver's own text: SQLAlchemy's would add the statement with its values.
            cause = str(getattr(error, "orig", None) or error).strip().split("\n", 1)[0].rstrip(".")
            if _is_full(cause, self._engine.url):
                raise _full(self.where) from error
            raise StateError(
                f"The control database {self.where} failed: {cause}.",
                remedy="Check that it can be reached and written to.",
            ) from error


def upsert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what to do about a row that is there already, in the database's own dialect."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table)
    # Imported where it is spoken: its dialect brings seven drivers along.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _full(where: str) -> StorageFull:
    return StorageFull(f"The disk of the control database {where} is full.", remedy="Free some space there.")


def _is_full(cause: str, url: sa.URL) -> bool:
    """Whether an error means that the disk is full."""
    if "disk is full" in cause or "No space left" in cause:
        return True
    if "disk I/O" not in cause or not url.database:
        return False
    # What SQLite says where there is no room for the files that it keeps beside a database.
    disk = os.statvfs(Path(url.database).parent)
    return disk.f_bavail * disk.f_frsize < _NEEDS_BYTES


def _version(connection: sa.Connection) -> int:
    if not sa.inspect(connection).has_table(tables.schema_version.name):
        return 0
    return connection.execute(sa.select(sa.func.max(tables.schema_version.c.version))).scalar() or 0


def _postgres(url: sa.URL) -> sa.Engine:
    # A network that is gone must be an error within half a minute: heartbeats and locks depend on it (PostgreSQL's
    # documentation, "Parameter Key Words").
    waits = {"connect_timeout": 10, "tcp_user_timeout": 20_000, "keepalives_idle": 10, "keepalives_interval": 5}
    given = {name: value for name, value in waits.items() if name not in url.query}
    engine = sa.create_engine(url, pool_size=2, max_overflow=8, pool_pre_ping=True, connect_args=given)

    @event.listens_for(engine, "connect")
    def _(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # A setting, not one of the connection's options: poolers between refuse those.
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE}")
        cursor.close()
        connection.commit()

    return engine


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database is None or url.database in {"", ":memory:"}:
        raise ConfigError(
            "The control database must be a file: every process of the fleet reads it.",
            remedy="Write its URL like sqlite:////folder/control.sqlite.",
        )
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"The folder of the control database {url.database} cannot be made: {error.strerror}.",
            remedy="Choose a folder that may be written to.",
        ) from error
    _warn_of_network(url.database)
    _use_write_ahead_log(url)
    engine = sa.create_engine(url)

    @event.listens_for(engine, "connect")
    def _(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver's own transactions begin too late to keep two writers apart; ours begin below.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {_BUSY}", "synchronous = NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        # A transaction that writes takes its turn at once; one that upgrades later fails with "database is locked".
        writes: Any = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@cache
def _warn_of_network(file: str) -> None:
    kind = network_file_system(Path(file).parent)
    if kind is not None:
        log.warning(
            "The control database %s is on a network file system (%s), where locks cannot be relied on: let one "
            "machine alone use it, or set database.url to a PostgreSQL database.",
            file,
            kind,
        )


def _use_write_ahead_log(url: sa.URL) -> None:
    """Readers and a writer then do not wait for each other. SQLite does not wait for others to make the switch."""
    until = time.monotonic() + _BUSY / 1000
    with closing(sqlite3.connect(str(url.database), timeout=_BUSY / 1000)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.Error as error:
                if "locked" in str(error) and time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                if _is_full(str(error), url):
                    raise _full(str(url.database)) from error
                raise StateError(
                    f"The control database {url.database} failed: {error}.",
                    remedy="Check that it can be read and written to.",
                ) from error
            else:
                return
