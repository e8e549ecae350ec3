"""A writer that was stopped amid its commit: who takes over a lake on servers waits for it a little, and not longer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.core.errors import LockLost, StateError
from cloudsync_pipeline.lake import Connection, Lake, fence
from cloudsync_pipeline.lake.cluster import Cluster
from cloudsync_pipeline.lake.fence import quote
from cloudsync_tests.lake.builders import a_lake, paths, put_files
from cloudsync_tests.lake.places import Servers

_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = :key"
_AMID_COMMIT = """
    CREATE FUNCTION {schema}.stand_still() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('application_name') = 'cloudsync fence 1' THEN PERFORM pg_advisory_xact_lock({key}); END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER stand_still AFTER INSERT ON {schema}.ducklake_snapshot
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {schema}.stand_still();
"""
"""The first writer's COMMIT waits until the lock `key` is free, with all that it wrote."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "PATIENCE", 0.2)


@pytest.fixture
def where(tmp_path: Path, lake_servers: Servers, template: Cluster) -> Iterator[Cluster]:
    """An empty lake that the first writer has opened."""
    yield from _opened_once(lake_servers, template, tmp_path / "lake", "taken_over")


def _opened_once(servers: Servers, template: Cluster, folder: Path, name: str) -> Iterator[Cluster]:
    location = servers.copy(template, folder, name)
    a_lake(location, fence_number=1).close()
    yield location
    servers.forget(name)


@contextmanager
def a_session(where: Cluster, name: str = "cloudsync fence 1") -> Iterator[sa.Connection]:
    """A connection to the lake's catalog, named like those of its first writer."""
    url = sa.make_url(where.catalog).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"application_name": name})
    connection = engine.connect()
    try:
        yield connection
    finally:
        connection.invalidate()
        connection.close()
        engine.dispose()


def stop_amid_commit(session: sa.Connection, where: Cluster) -> None:
    """Leave a transaction open that has made a snapshot, and with it holds the fence."""
    schema = quote(where.schema)
    session.execute(sa.text(f"INSERT INTO {schema}.ducklake_snapshot VALUES (1000, now(), 1, 1000, 1000)"))
    session.execute(sa.text(f"INSERT INTO {schema}.ducklake_metadata (key, value) VALUES ('left', 'behind')"))


def left_behind(lake: Lake) -> int:
    assert isinstance(lake.location, Cluster)
    with a_session(lake.location, "a look") as session:
        found = sa.text(f"SELECT count(*) FROM {quote(lake.location.schema)}.ducklake_metadata WHERE key = 'left'")
        return int(session.execute(found).scalar_one())


def test_a_transaction_of_an_older_writer_is_ended_and_nothing_of_it_stays(where: Cluster) -> None:
    with a_session(where) as stopped:
        stop_amid_commit(stopped, where)
        with a_lake(where, fence_number=2) as new:
            put_files(new, "a")
            assert paths(new) == ["a"]
            assert left_behind(new) == 0
        with pytest.raises(sa.exc.OperationalError, match=r"server closed the connection|terminating connection"):
            stopped.execute(sa.text("COMMIT"))


def test_a_writer_that_was_ended_amid_its_commit_is_told_that_it_was_taken_over(where: Cluster) -> None:
    told: list[BaseException] = []

    def write(lake: Lake) -> None:
        try:
            put_files(lake, "late")
        except LockLost as error:
            told.append(error)

    with a_session(where, "a brake") as brake, a_lake(where, fence_number=1) as old:
        brake.exec_driver_sql(_AMID_COMMIT.format(schema=quote(where.schema), key=4711))
        brake.commit()
        brake.execute(sa.text("SELECT pg_advisory_lock(4711)"))
        writing = threading.Thread(target=write, args=(old,))
        writing.start()
        while not brake.execute(sa.text(_WAITS), {"key": 4711}).scalar_one():
            assert writing.is_alive()
        with a_lake(where, fence_number=2) as new:
            put_files(new, "a")
            writing.join()
            assert [type(error) for error in told] == [LockLost]
            assert "acme: Another writer has taken over, noticed while committing 'put'" in str(told[0])
            with pytest.raises(LockLost):
                put_files(old, "later still")
            assert paths(new) == ["a"]


def test_the_sessions_of_other_lakes_and_of_newer_writers_live_on(
    where: Cluster, tmp_path: Path, lake_servers: Servers, template: Cluster
) -> None:
    for other in _opened_once(lake_servers, template, tmp_path / "other", "neighbour"):
        with a_session(other) as neighbour, a_session(where, "cloudsync fence 3") as newer, a_session(where) as idle:
            stop_amid_commit(neighbour, other)
            newer.execute(
                sa.text(f"INSERT INTO {quote(where.schema)}.ducklake_metadata (key, value) VALUES ('a', 'b')")
            )
            idle.execute(sa.text(f"SELECT * FROM {quote(where.schema)}.ducklake_snapshot"))
            a_lake(where, fence_number=2).close()
            for session in (neighbour, newer, idle):
                session.commit()
                assert session.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_somebody_else_who_keeps_the_fence_is_not_ended_and_the_wait_for_it_is(where: Cluster) -> None:
    with a_session(where, "a person's own") as person:
        person.execute(sa.text(f"UPDATE {quote(where.schema)}.cloudsync_fence SET commits = commits"))
        with pytest.raises(
            StateError, match=r"acme: The fence of the lake in schema .* stays locked.*pg_stat_activity"
        ):
            a_lake(where, fence_number=2)
        person.rollback()
    a_lake(where, fence_number=2).close()


def test_a_writer_whose_session_was_ended_by_a_restart_tries_again(where: Cluster) -> None:
    tries: list[int] = []
    ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'cloudsync fence 1'"

    with a_lake(where, fence_number=1) as lake, a_session(where, "an operator") as operator:

        def work(connection: Connection) -> None:
            connection.execute("INSERT INTO files (path) VALUES ('a')")
            tries.append(1)
            if len(tries) == 1:
                operator.execute(sa.text(ends))

        lake.commit(work, run_id="run-1", step="put")
        assert paths(lake) == ["a"]
        assert len(tries) > 1
