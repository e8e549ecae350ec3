"""The fence of a lake whose catalog is in PostgreSQL: a writer that was taken over cannot commit, even unawares.

One row beside DuckLake's own tables holds the number of the newest writer. Each writer's connections carry their
number in `application_name`, and a trigger UPDATEs the row within every transaction that makes or expires a
snapshot: with another number in it the transaction fails, and one that is under way while the number rises
conflicts with that. Nothing of it depends on the writer's own clock, or on its noticing anything.

A writer that is stopped amid its COMMIT keeps that row, and whatever else it wrote, locked for as long as its
connection lives. Who takes over waits a little for it, and then ends its sessions at the server: DuckLake sends the
new snapshot first and everything else in the same message, so that none holds a lock without holding the row.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

from cloudsync_pipeline.core.errors import LockLost, StateError

log = logging.getLogger(__name__)

STALE = "cloudsync: a newer writer has taken over"
"""Begins what PostgreSQL says to a writer of the past; see `lake.faults`."""
_NAME = "cloudsync fence "
_LOCK = 0x636C6F76
"""Any number of our own; with the schema's hash, keeps two processes from making the same fence at once."""
PATIENCE = 5.0
"""Seconds that who takes over waits for a transaction of an older writer, until it is ended."""
_ROUNDS = 3
_TIMED_OUT = "55P03"
"""lock_not_available (PostgreSQL's documentation, "Error Codes")."""
_OLDER = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE substring(application_name FROM :pattern)::bigint < :number AND pid IN (
        SELECT pid FROM pg_locks
        WHERE granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (
            mode = 'RowExclusiveLock' AND relation IN (
                SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:schema))
            )
            OR locktype = 'advisory' AND classid = :lock AND objid = hashtext(:schema)::bigint & 4294967295
        )
    )
"""
"""Sessions of one lake's older writers that have something locked: nothing of it may be committed any more."""


def application_name(number: int | None) -> str:
    """What a connection to the catalog calls itself; a reader has no number."""
    return "cloudsync" if number is None else f"{_NAME}{number}"


def exists(connection: sa.Connection, schema: str) -> bool:
    """Whether DuckLake's tables are in a schema."""
    found = sa.text("SELECT to_regclass(quote_ident(:schema) || '.ducklake_snapshot') IS NOT NULL")
    return bool(connection.execute(found, {"schema": schema}).scalar())


def raise_to(connection: sa.Connection, schema: str, number: int | None, integration: str) -> int:
    """Make the fence, and raise it to a writer's number; returns the number that holds.

    Args:
        number: None leaves it as it is.

    Raises:
        LockLost: it stands higher: a newer writer has opened the lake.
        StateError: somebody keeps it locked who is no older writer.
    """
    for _ in range(_ROUNDS):
        try:
            with connection.begin_nested():
                there = _raise_to(connection, schema, number)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _TIMED_OUT:
                raise
            _end_older(connection, schema, number)
        else:
            break
    else:
        raise StateError(
            f"The fence of the lake in schema {schema} stays locked.",
            integration=integration,
            remedy=f"Look in pg_stat_activity for sessions named '{_NAME}…', and end those of lost machines.",
        )
    if number is not None and there != number:
        raise LockLost(
            "A newer writer has opened the lake.",
            integration=integration,
            remedy="This run stops writing; the newer one goes on.",
        )
    # Rows that one of them inserted before it came to the fence would still be waited for.
    _end_older(connection, schema, number)
    return there


def _raise_to(connection: sa.Connection, schema: str, number: int | None) -> int:
    _take_turn(connection, schema)
    quoted = quote(schema)
    for statement in (
        f"CREATE SCHEMA IF NOT EXISTS {quoted}",
        f"""CREATE TABLE IF NOT EXISTS {quoted}.cloudsync_fence (
            only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row), fence BIGINT NOT NULL, commits BIGINT NOT NULL
        )""",
        f"INSERT INTO {quoted}.cloudsync_fence (fence, commits) VALUES (0, 0) ON CONFLICT DO NOTHING",
    ):
        connection.execute(sa.text(statement))
    if number is not None:
        # Not where it stands there already: the writer may be committing in another thread.
        raised = sa.text(f"UPDATE {quoted}.cloudsync_fence SET fence = :number WHERE fence < :number")
        connection.execute(raised, {"number": number})
    there: int = connection.execute(sa.text(f"SELECT fence FROM {quoted}.cloudsync_fence")).scalar_one()
    return there


def _take_turn(connection: sa.Connection, schema: str) -> None:
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {round(PATIENCE * 1000)}"))
    turn = sa.text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))")
    connection.execute(turn, {"lock": _LOCK, "schema": schema})


def _end_older(connection: sa.Connection, schema: str, number: int | None) -> None:
    if number is None:
        return
    pattern = f"^{_NAME}([0-9]{{1,18}})$"
    # Within one transaction PostgreSQL shows the sessions as they were when it was asked first.
    connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
    values = {"pattern": pattern, "number": number, "schema": schema, "lock": _LOCK}
    ended = connection.execute(sa.text(_OLDER), values).rowcount
    if ended > 0:
        log.warning("Ended %s session(s) of older writers that kept the catalog in schema %s locked", ended, schema)


def guard(connection: sa.Connection, schema: str) -> None:
    """Let PostgreSQL hold the fence from now on; DuckLake's tables are there by now."""
    _take_turn(connection, schema)
    quoted = quote(schema)
    has = sa.text(
        "SELECT 1 FROM pg_trigger WHERE tgname = 'cloudsync_fence' "
        "AND tgrelid = to_regclass(quote_ident(:schema) || '.ducklake_snapshot')"
    )
    if connection.execute(has, {"schema": schema}).scalar() is not None:
        return
    connection.exec_driver_sql(
        f"""
        CREATE OR REPLACE FUNCTION {quoted}.cloudsync_fence() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE {quoted}.cloudsync_fence SET commits = commits + 1
            WHERE current_setting('application_name') = '{_NAME}' || fence;
            IF NOT FOUND THEN
                RAISE EXCEPTION '{STALE} (this is "%")', current_setting('application_name');
            END IF;
            RETURN NULL;
        END $$
        """.replace("%", "%%")
    )
    connection.execute(
        sa.text(
            f"CREATE TRIGGER cloudsync_fence AFTER INSERT OR UPDATE OR DELETE ON {quoted}.ducklake_snapshot "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {quoted}.cloudsync_fence()"
        )
    )


def quote(identifier: str) -> str:
    """A name as PostgreSQL takes it, whatever stands in it."""
    return '"' + identifier.replace('"', '""') + '"'
