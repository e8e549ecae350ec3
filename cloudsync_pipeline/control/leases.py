"""One writer an integration among machines: a row in the control database that its holder renews while it lives.

What is late is decided by the database's clock alone. A holder counts its own time from before it asked, on a clock
that goes on while the process or the machine is stopped, so that it gives up before anybody else may come in.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import sqlalchemy as sa

from cloudsync_pipeline.control.database import Database, upsert
from cloudsync_pipeline.control.holders import Holder, already_held
from cloudsync_pipeline.control.tables import leases
from cloudsync_pipeline.core.errors import LockLost
from cloudsync_pipeline.core.rules import LEASE

_MARGIN = 6
"""A holder stops the sixth part of a lease early, so that a call it has just begun is over in time."""
_NOW = sa.func.clock_timestamp()  # now() stands still within a transaction, and this one may have waited for the row


class Leases:
    """The leases of a control database that several machines share."""

    def __init__(self, database: Database, seconds: float | None = None) -> None:
        self.seconds = LEASE if seconds is None else seconds
        self._database = database

    def take(self, wanted: Holder, lock_file: str) -> Lease:
        """Take the lease of an integration for its new holder.

        Args:
            lock_file: names the OS lock that the holder has by now, the same for nobody else on any machine: a lease
                that was taken with it belongs to a process that is gone, and is not waited for.

        Raises:
            LockHeld: another holder's has not expired; the message names it.
            StateError: the database cannot be asked.
        """
        asked = _clock()
        free = {"integration": wanted.integration, "fence": 0}
        row = leases.c.integration == wanted.integration
        with self._database.writing() as connection:
            connection.execute(upsert(connection, leases).values(free).on_conflict_do_nothing())
            found = connection.execute(_SELECT.where(row).with_for_update()).mappings().one()
            if found["run_id"] is not None and not found["expired"] and found["lock_file"] != lock_file:
                raise already_held(wanted.integration, _holder(found))
            # The time in milliseconds, so that numbers go on rising also after this database was lost or restored.
            rising = sa.func.greatest(leases.c.fence + 1, sa.cast(sa.extract("epoch", _NOW) * 1000, sa.BigInteger))
            fence: int = connection.execute(
                leases.update()
                .where(row)
                .values(
                    fence=rising,
                    run_id=wanted.run_id,
                    purpose=wanted.purpose,
                    host=wanted.host,
                    pid=wanted.pid,
                    command=wanted.command,
                    lock_file=lock_file,
                    since=_NOW,
                    heartbeat_at=_NOW,
                    expires_at=_NOW + timedelta(seconds=self.seconds),
                )
                .returning(leases.c.fence)
            ).scalar_one()
        return Lease(self._database, wanted, fence, self.seconds, asked)

    def holder(self, integration: str) -> tuple[Holder, str] | None:
        """Who holds, or was lost holding, an integration, with the name of its lock file; None where nobody does."""
        with self._database.reading() as connection:
            found = connection.execute(_SELECT.where(leases.c.integration == integration)).mappings().one_or_none()
        if found is None or found["run_id"] is None:
            return None
        return _holder(found), found["lock_file"]


class Lease:
    """A lease that is held. `fence` is greater than that of every holder before."""

    def __init__(self, database: Database, holder: Holder, fence: int, seconds: float, asked: float) -> None:
        self.fence = fence
        self._database = database
        self._holder = holder
        self._seconds = seconds
        self._lost = False
        self._until = self._end(asked)

    def _end(self, asked: float) -> float:
        return asked + self._seconds * (1 - 1 / _MARGIN)

    def renew(self) -> None:
        """Tell the database that the holder lives.

        Raises:
            StateError: it cannot be told.
        """
        asked = _clock()
        alive = leases.update().where(*self._mine()).values(heartbeat_at=_NOW, expires_at=self._later())
        with self._database.writing() as connection:
            kept = connection.execute(alive).rowcount == 1
        if kept:
            self._until = self._end(asked)
        else:
            self._lost = True

    def check(self) -> None:
        """Prove that it is still held; asks nobody, so cheap enough for every call that changes anything.

        Raises:
            LockLost: another holder has taken it over, or may have: it was not renewed in time.
        """
        if not self._lost and _clock() < self._until:
            return
        why = "was taken over by another run" if self._lost else "could not be renewed in time"
        raise LockLost(
            f"The lock of run {self._holder.run_id} {why}.",
            integration=self._holder.integration,
            remedy="The run stops writing; the next one goes on where it stopped. "
            "Look for a paused process or machine, or a control database that could not be reached.",
        )

    def release(self) -> None:
        """Let the next holder in; does nothing where it was taken over.

        Raises:
            StateError: the database cannot be told; the lease then ends by itself.
        """
        with self._database.writing() as connection:
            connection.execute(leases.update().where(*self._mine()).values(run_id=None, expires_at=_NOW))

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return leases.c.integration == self._holder.integration, leases.c.fence == self.fence

    def _later(self) -> sa.ColumnElement[datetime]:
        return _NOW + timedelta(seconds=self._seconds)


_SELECT = sa.select(leases, (leases.c.expires_at <= _NOW).label("expired"))


def _holder(row: sa.RowMapping) -> Holder:
    return Holder(
        integration=row["integration"],
        run_id=row["run_id"],
        purpose=row["purpose"],
        pid=row["pid"],
        host=row["host"],
        command=row["command"],
        since=row["since"],
        heartbeat_at=row["heartbeat_at"],
        alive=not row["expired"],
        free_at=row["expires_at"],
    )


def _clock() -> float:
    """Seconds on a clock that also counts while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
