"""One writer an integration among machines: each test's folders stand for the disks of as many machines."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.control import Control, Holder, Leases, WriterLock, holder, writer_lock
from cloudsync_pipeline.control import database as control_database
from cloudsync_pipeline.control.database import Database
from cloudsync_pipeline.core.errors import LockHeld, LockLost, StateError
from cloudsync_tests.control import postgres
from cloudsync_tests.control.holding import another_process


@pytest.fixture
def url(postgres_server: sa.URL) -> str:
    return postgres.emptied(postgres_server)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    yield opened
    opened.close()


@contextmanager
def locked(folder: Path, database: Database, run_id: str = "run-1", **settings: float) -> Iterator[WriterLock]:
    leases = Leases(database, settings.pop("seconds", 60.0))
    with writer_lock(
        folder,
        integration="acme",
        run_id=run_id,
        purpose="incremental sync",
        leases=leases,
        patience=0.05,
        heartbeat=settings.pop("heartbeat", 60.0),
    ) as lock:
        yield lock


def wait_until_expired(database: Database) -> None:
    """By the database's clock: it alone counts."""
    with database.writing() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_sleep(greatest(0, extract(epoch FROM expires_at - clock_timestamp()) + 0.01)) FROM leases"
            )
        )


def test_a_writer_on_another_machine_is_told_who_the_first_is(tmp_path: Path, database: Database) -> None:
    with locked(tmp_path / "a", database), pytest.raises(LockHeld) as caught, locked(tmp_path / "b", database):
        pass
    told = str(caught.value)
    for part in ("acme: Run run-1", "incremental sync", f"process {os.getpid()} on {socket.gethostname()}", "since 20"):
        assert part in told
    assert "last heartbeat" in told
    assert "If its machine is gone, the lock is free from" in told


def test_the_lock_goes_from_machine_to_machine_with_a_rising_fence(tmp_path: Path, database: Database) -> None:
    fences = []
    for name in ("a", "b", "a"):
        with locked(tmp_path / name, database) as lock:
            assert lock.fence is not None
            fences.append(lock.fence)
            lock.check()
    assert fences == sorted(set(fences))


def test_fences_go_on_rising_when_the_control_database_was_lost(tmp_path: Path, database: Database) -> None:
    with locked(tmp_path, database) as lock:
        before = lock.fence
    with database.writing() as connection:
        connection.execute(sa.text("DELETE FROM leases"))
    with locked(tmp_path, database) as lock:
        assert lock.fence is not None
        assert before is not None
        assert lock.fence > before


def test_integrations_do_not_wait_for_each_other(tmp_path: Path, database: Database) -> None:
    with (
        locked(tmp_path / "a", database),
        writer_lock(
            tmp_path / "b", integration="other", run_id="run-2", purpose="sync", leases=Leases(database)
        ) as second,
    ):
        second.check()


def test_heartbeats_keep_a_lock_beyond_its_lease(tmp_path: Path, database: Database) -> None:
    with locked(tmp_path / "a", database, seconds=0.6, heartbeat=0.05) as lock:
        threading.Event().wait(1.0)
        lock.check()
        with pytest.raises(LockHeld), locked(tmp_path / "b", database):
            pass


def test_a_lost_machine_is_followed_when_its_lease_has_expired_and_learns_it(
    tmp_path: Path, database: Database
) -> None:
    with locked(tmp_path / "lost", database, seconds=0.5) as lost:
        left = holder(tmp_path / "b", "acme", Leases(database))
        assert left is not None
        assert (left.run_id, left.alive) == ("run-1", True)
        wait_until_expired(database)
        left = holder(tmp_path / "b", "acme", Leases(database))
        assert left is not None
        assert (left.run_id, left.alive) == ("run-1", False)
        with locked(tmp_path / "b", database, "run-2") as second:
            assert second.fence is not None
            assert lost.fence is not None
            assert second.fence > lost.fence
            with pytest.raises(LockLost, match=r"acme: The lock of run run-1 could not be renewed in time"):
                lost.check()
            lost.note(lost.holder)
            with pytest.raises(LockLost, match=r"was taken over by another run"):
                lost.check()
            second.check()
    # The first one's end has not let go of what the second one held, and that one's has.
    assert holder(tmp_path / "b", "acme", Leases(database)) is None


def test_a_holder_whose_heartbeats_do_not_arrive_gives_up_before_others_may_come(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Database) -> None:
        raise StateError("The control database is away.")

    with locked(tmp_path / "a", database, seconds=3.0, heartbeat=0.05) as lock:
        lock.check()
        with monkeypatch.context() as broken:
            broken.setattr(Database, "writing", away)
            with pytest.raises(LockLost):  # noqa: PT012 - how many checks pass before is not what counts
                for _ in range(100):
                    threading.Event().wait(0.05)
                    lock.check()
        with pytest.raises(LockHeld), locked(tmp_path / "b", database):
            pass


def test_a_holder_whose_lease_was_taken_before_its_time_learns_it_with_its_next_heartbeat(database: Database) -> None:
    leases, myself = Leases(database), Holder.myself("acme", "run-1", "sync")
    first = leases.take(myself, "one lock file")
    leases.take(myself, "one lock file").check()
    first.renew()
    with pytest.raises(LockLost, match="was taken over by another run"):
        first.check()


def test_a_killed_writer_is_followed_at_once_on_its_own_machine_and_not_elsewhere(
    tmp_path: Path, url: str, database: Database
) -> None:
    with another_process(tmp_path / "here", url=url) as process:
        alive = holder(tmp_path / "here", "acme", Leases(database))
        assert alive is not None
        assert (alive.pid, alive.alive) == (process.pid, True)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = holder(tmp_path / "here", "acme", Leases(database))
    assert left is not None
    assert (left.run_id, left.alive) == ("run-killed", False)
    with pytest.raises(LockHeld, match="run-killed"), locked(tmp_path / "elsewhere", database):
        pass
    with locked(tmp_path / "here", database, "run-2") as lock:
        lock.check()


def test_a_process_that_was_stopped_amid_a_heartbeat_keeps_nobody_waiting_for_its_row(
    tmp_path: Path, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_database, "_IDLE", 300)
    with Control.open(url) as stopped, locked(tmp_path / "a", database, seconds=0.1):
        wait_until_expired(database)
        with pytest.raises(StateError, match="control database"), stopped._database.writing() as connection:  # noqa: PT012
            connection.execute(sa.text("UPDATE leases SET heartbeat_at = now()"))
            with locked(tmp_path / "b", database, "run-2") as second:
                second.check()
            connection.execute(sa.text("SELECT 1"))


def test_times_are_the_databases_own(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path / "a", database):
        found = Leases(database).holder("acme")
        assert found is not None
        with database.reading() as connection:
            now = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        assert abs((now - found[0].since).total_seconds()) < 5
        assert found[0].since.tzinfo is UTC
        assert found[0].free_at is not None
        assert 50 < (found[0].free_at - datetime.now(UTC)).total_seconds() <= 61


def test_a_control_database_in_a_file_has_no_leases(tmp_path: Path) -> None:
    with Control.open(f"sqlite:///{tmp_path}/control.db") as control:
        assert control.leases is None
