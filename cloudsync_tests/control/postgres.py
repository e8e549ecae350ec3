"""A real PostgreSQL for tests, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

_READY_WITHIN = 60.0
_UNPRIVILEGED = "nobody"


def _program(name: str) -> str | None:
    """Debian keeps the server's programs outside of the search path."""
    folders = sorted(str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(reversed(folders)))


BACKENDS = ("sqlite", "postgresql")
"""The kinds of control database."""


def _required(name: str) -> str:
    """The program's path. Without it the test is skipped on a person's machine, and fails where nobody would notice."""
    found = _program(name)
    if found is None:
        reason = f"PostgreSQL is not installed: there is no {name} on the PATH or in /usr/lib/postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def postgres(port: int | None = None) -> Iterator[sa.URL]:
    """A running server; the URL of its first database. See `_required` for where there is none.

    Args:
        port: of 127.0.0.1, for programs that do not know sockets; without one it has a socket alone.
    """
    initdb, server = _required("initdb"), _required("postgres")
    # PostgreSQL refuses to run as root, as containers do.
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    # A socket's path may have some 100 characters: pytest's folders can be longer.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data = folder / "data"
    try:
        if user is not None:
            shutil.chown(folder, user)
        subprocess.run(
            [initdb, "-D", data, "-U", "fleet", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        where = ["-c", "listen_addresses="] if port is None else ["-c", "listen_addresses=127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(
            [server, "-D", data, "-k", folder, *where, "-c", "fsync=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
        )
        try:
            at = {"query": {"host": str(folder)}} if port is None else {"host": "127.0.0.1", "port": port}
            url = sa.URL.create("postgresql+psycopg2", username="fleet", database="postgres", **at)
            _wait_for(url)
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ask_for_password(server: sa.URL, role: str) -> None:
    """Let nobody in by TCP as this role without its password."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        file = Path(connection.execute(sa.text("SHOW hba_file")).scalar_one())
        file.write_text(f"host all {role} all scram-sha-256\n{file.read_text()}")
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    engine.dispose()


def emptied(server: sa.URL) -> str:
    """The URL of the server's database, without any table."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in ("SET lock_timeout = '10s'", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
            connection.execute(sa.text(statement))
    engine.dispose()
    return server.set(drivername="postgresql").render_as_string(hide_password=False)


def _wait_for(url: sa.URL) -> None:
    engine = sa.create_engine(url)
    until = time.monotonic() + _READY_WITHIN
    while True:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            engine.dispose()
            return
