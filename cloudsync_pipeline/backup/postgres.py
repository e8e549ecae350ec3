"""Tables in PostgreSQL, dumped and put back by its own programs (PostgreSQL documentation, "pg_dump", "pg_restore")."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from cloudsync_pipeline.core.errors import StateError

DUMP = "tables.dump"
_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
_PATIENCE = "-c lock_timeout=60s"
"""For what a restore replaces: somebody may hold it, and go on holding it."""


def dump(url: str, tables: Sequence[str], target: Path) -> None:
    """Write these tables, as of one moment, into a file of pg_dump's own format.

    Args:
        url: SQLAlchemy's form; its password reaches the program by the environment, which no process list shows.
        tables: names; those that are not there are left out.

    Raises:
        StateError: pg_dump is not installed, too old for the server, or failed; with its words.
    """
    wanted = [word for table in tables for word in ("--table", f'"{table}"')]
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", *wanted, f"--file={target}"])


def restore(url: str, source: Path) -> None:
    """Put the tables of a dump in place of what is there, in one transaction.

    Raises:
        StateError: as of `dump`; nothing was changed.
    """
    # The whole or nothing; and what others write meanwhile waits for it.
    options = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", url, [*options, f"--dbname={sa.make_url(url).database}", str(source)])


def _run(program: str, url: str, arguments: Sequence[str]) -> None:
    path = _find(program)
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, with arguments of ours
        [path, "--no-password", *arguments],
        env={**os.environ, "PGOPTIONS": _PATIENCE, **environment(url)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise StateError(
            f"{program} failed: {told[0].removeprefix(f'{program}: ')}.",
            remedy=f"{program} must be at least as new as the server, reach it, and find its tables free.",
        )


def environment(url: str) -> Mapping[str, str]:
    """What PostgreSQL's programs read instead of arguments ("libpq: Environment Variables")."""
    parsed = sa.make_url(url)
    told = {
        "PGHOST": parsed.host,
        "PGPORT": str(parsed.port) if parsed.port else None,
        "PGUSER": parsed.username,
        "PGPASSWORD": str(parsed.password) if parsed.password else None,
        "PGDATABASE": parsed.database,
        **{name: str(parsed.query[key]) for key, name in _ENVIRONMENT.items() if key in parsed.query},
    }
    return {name: value for name, value in told.items() if value}


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        # Debian keeps them outside of the PATH, one folder a release.
        every = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda one: int(one.parts[-3]))
        found = str(every[-1]) if every else None
    if found is None:
        raise StateError(
            f"{program} is not installed here.",
            remedy="Install PostgreSQL's client programs (Debian: apt-get install postgresql-client); or set "
            f"`database.backup_postgres: false` and run {program} where the server is, as docs/operations.md says.",
        )
    return found
