"""The fleet: which integrations there are, whether they may run, how they fared, and when they are due.

Ticks, status, metrics and API lists read this, never the integrations' lakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from cloudsync_pipeline.control import due, measures, results
from cloudsync_pipeline.control.alerts import Alerts
from cloudsync_pipeline.control.database import Database, upsert
from cloudsync_pipeline.control.heartbeats import Heartbeats
from cloudsync_pipeline.control.inbox import Inbox
from cloudsync_pipeline.control.leases import Leases
from cloudsync_pipeline.control.measures import Measure
from cloudsync_pipeline.control.records import Counts, Integration, IntegrationState, Rest, RunResult
from cloudsync_pipeline.control.tables import UtcDateTime, integrations
from cloudsync_pipeline.core.errors import ConfigError, Paused

RUNNING = "running"
"""The verdict of a run that has not told its result yet."""


class Control:
    """See the module's docstring. Every call is one short transaction; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Control:
        """Open the control database; see `Database.open` for the URL and the errors."""
        return cls(Database.open(url))

    def close(self) -> None:
        """Release every connection; a second call does nothing."""
        self._database.close()

    @property
    def inbox(self) -> Inbox:
        """What was sent to us for integrations; it shares this database's connections."""
        return Inbox(self._database)

    @property
    def leases(self) -> Leases | None:
        """The locks among machines; None where the database is a file, which one machine uses."""
        return Leases(self._database) if self._database.shared else None

    @property
    def heartbeats(self) -> Heartbeats:
        """Signs of life of runs; it shares this database's connections."""
        return Heartbeats(self._database)

    @property
    def alerts(self) -> Alerts:
        """What people were told; it shares this database's connections."""
        return Alerts(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- which integrations there are -----------------------------------------------------------

    def ensure(self, name: str, config_fingerprint: str | None = None, *, now: datetime | None = None) -> Integration:
        """The integration, added as active if it is new. One that was removed stays removed.

        Args:
            config_fingerprint: of its present configuration; kept where given.
            now: aware; the present time unless told.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            new = {"name": name, "state": IntegrationState.ACTIVE.value, "added_at": now, "state_changed_at": now}
            connection.execute(upsert(connection, integrations).values(new).on_conflict_do_nothing())
            if config_fingerprint is not None:
                _update(connection, name, config_fingerprint=config_fingerprint)
            return _get(connection, name)

    def get(self, name: str) -> Integration:
        """One integration.

        Raises:
            ConfigError: there is none of that name.
        """
        with self._database.reading() as connection:
            return _get(connection, name)

    def list(self, *states: IntegrationState) -> Sequence[Integration]:
        """All integrations by name, or those in one of these states."""
        query = sa.select(integrations).order_by(integrations.c.name)
        if states:
            query = query.where(integrations.c.state.in_([s.value for s in states]))
        with self._database.reading() as connection:
            return [_integration(row) for row in connection.execute(query).mappings()]

    # --- whether they may run -------------------------------------------------------------------

    def require_active(self, name: str) -> Integration:
        """The integration, if it may run.

        Raises:
            Paused: it is paused or removed; the message says why, and what to do.
            ConfigError: there is none of that name.
        """
        found = self.get(name)
        if found.state is IntegrationState.ACTIVE:
            return found
        why = f": {found.reason}" if found.reason else ""
        remedy = "Resume it first." if found.state is IntegrationState.PAUSED else "Add it again first."
        raise Paused(
            f"The integration is {found.state} since {found.state_changed_at:%Y-%m-%d %H:%M} UTC{why}.",
            integration=name,
            remedy=remedy,
        )

    def pause(self, name: str, reason: str, *, now: datetime | None = None) -> Integration:
        """Let nothing run for an integration until it is resumed. A run under way ends by itself.

        Raises:
            Paused: it is removed.
            ConfigError: there is none of that name.
        """
        return self._move(name, IntegrationState.PAUSED, reason, now)

    def resume(self, name: str, *, now: datetime | None = None) -> Integration:
        """Let a paused integration run again; it is due at once. An active one stays as it is.

        Raises:
            Paused: it is removed.
            ConfigError: there is none of that name.
        """
        return self._move(name, IntegrationState.ACTIVE, None, now)

    def remove(self, name: str, reason: str, *, now: datetime | None = None) -> Integration:
        """Take an integration out of the fleet; its line, results and lake stay until somebody deletes them.

        Raises:
            ConfigError: there is none of that name.
        """
        return self._move(name, IntegrationState.REMOVED, reason, now)

    def add_again(self, name: str, *, now: datetime | None = None) -> Integration:
        """Take a removed integration back; it needs an initial sync, since nobody watched its events meanwhile.

        Raises:
            ConfigError: there is none of that name, or it is not removed.
        """
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            found = _get(connection, name, lock=True)
            if found.state is not IntegrationState.REMOVED:
                raise ConfigError(
                    f"The integration is {found.state}, not removed.", integration=name, remedy="Nothing needs doing."
                )
            _update(
                connection,
                name,
                state=IntegrationState.ACTIVE.value,
                reason=None,
                state_changed_at=now,
                initial_done=False,
                initial_attempts=0,
                initial_next_try=None,
                next_incremental_at=None,
                next_scan_at=None,
            )
            return _get(connection, name)

    def _move(self, name: str, state: IntegrationState, reason: str | None, now: datetime | None) -> Integration:
        now = now or datetime.now(UTC)
        with self._database.writing() as connection:
            found = _get(connection, name, lock=True)
            if found.state is IntegrationState.REMOVED and state is not IntegrationState.REMOVED:
                raise Paused("The integration is removed.", integration=name, remedy="Add it again first.")
            if found.state is not state:
                values = {"state": state.value, "reason": reason, "state_changed_at": now, "next_incremental_at": None}
                _update(connection, name, **values)
            elif reason != found.reason:
                _update(connection, name, reason=reason)
            return _get(connection, name)

    # --- how they fared -------------------------------------------------------------------------

    def record_start(self, name: str, *, run_id: str, mode: str, at: datetime) -> None:
        """Note that a run has begun; until its result is recorded its verdict reads "running".

        Raises:
            ConfigError: there is no integration of that name.
        """
        with self._database.writing() as connection:
            _update(
                connection,
                name,
                last_run_id=run_id,
                last_mode=mode,
                last_verdict=RUNNING,
                last_started_at=at,
                last_finished_at=None,
                unfinished_since=sa.func.coalesce(integrations.c.unfinished_since, sa.literal(at, UtcDateTime)),
            )

    def record_result(
        self,
        result: RunResult,
        *,
        counts: Counts | None = None,
        scan_started_at: datetime | None = None,
        next_incremental_at: datetime | None = None,
        next_scan_at: datetime | None = None,
        rest: Rest | None = None,
    ) -> Integration:
        """Note how a run ended, and when the next is due. Recording a run again replaces what was noted of it.

        Args:
            counts: what the integration holds now; None where the run broke off before it knew.
            scan_started_at: where the run merged a full listing, when that began; a scan asked for later stays asked
                for.
            next_incremental_at, next_scan_at: None leaves them as they are.
            rest: what must change before there is something to do; None where that is not known.

        Raises:
            ConfigError: there is no integration of that name.
        """
        with self._database.writing() as connection:
            before = _get(connection, result.integration, lock=True)
            values = results.consequences(
                before,
                result,
                counts=counts,
                scan_started_at=scan_started_at,
                next_incremental_at=next_incremental_at,
                next_scan_at=next_scan_at,
                rest=rest or Rest(),
            )
            _update(connection, result.integration, **values)
            results.keep(connection, result)
            return _get(connection, result.integration)

    def results(self, name: str | None = None, limit: int = 20) -> Sequence[RunResult]:
        """The newest run results, newest first, of one integration or of all."""
        with self._database.reading() as connection:
            return results.newest(connection, name, limit)

    def result(self, run_id: str) -> RunResult | None:
        """How one run ended; None where it has not ended, or is forgotten by now."""
        with self._database.reading() as connection:
            return results.of_run(connection, run_id)

    def measures(self) -> Sequence[Measure]:
        """What all runs so far add up to."""
        with self._database.reading() as connection:
            return measures.read(connection)

    # --- when they are due ----------------------------------------------------------------------

    def request_scan(self, name: str, reason: str, *, now: datetime | None = None) -> None:
        """Make a full scan due at once, because events were lost or a person wants it. Asking again changes nothing
        but the time, so that a scan already under way does not count.

        Raises:
            ConfigError: there is no integration of that name.
        """
        with self._database.writing() as connection:
            _update(
                connection, name, scan_requested=True, scan_requested_at=now or datetime.now(UTC), scan_reason=reason
            )

    def due(self, now: datetime, mode: str) -> Sequence[Integration]:
        """Active integrations for which a run of this mode is due, longest waiting first.

        An integration is due for "initial" until its initial sync is done, and only then for the others.

        Args:
            now: aware.
            mode: "initial", "incremental" or "reconcile".

        Raises:
            ValueError: another mode.
        """
        with self._database.reading() as connection:
            return [_integration(row) for row in connection.execute(due.query(now, mode)).mappings()]

    def put_off(self, name: str, seconds: float, *, now: datetime | None = None) -> None:
        """Let no run of it be due for a while, because one of its ends asked for that; a person may still start one.

        Does nothing for an integration that is not known, or is put off for longer already.

        Args:
            seconds: as in the answer's Retry-After; `due.LONGEST_PUT_OFF` at most counts.
        """
        with self._database.writing() as connection:
            due.put_off(connection, name, seconds, now or datetime.now(UTC))

    def wake(self, name: str) -> None:
        """Let the next sync that is due run, whatever its feed says: something may change that no feed tells of.

        Does nothing for an integration that is not known yet.
        """
        with self._database.writing() as connection:
            connection.execute(integrations.update().where(integrations.c.name == name).values(feed_mark=None))

    def note_nothing_new(self, marks: Mapping[str, str], *, now: datetime, next_at: Mapping[str, datetime]) -> None:
        """Note of resting integrations that their feeds had nothing new, so that no run was needed.

        Args:
            marks: of their feeds now, by integration. One that was woken meanwhile stays awake.
            now: aware.
            next_at: when each is due again.
        """
        with self._database.writing() as connection:
            due.note_nothing_new(connection, marks, now, next_at)


def _get(connection: sa.Connection, name: str, *, lock: bool = False) -> Integration:
    query = sa.select(integrations).where(integrations.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise _unknown(name)
    return _integration(row)


def _update(connection: sa.Connection, name: str, **values: object) -> None:
    if connection.execute(integrations.update().where(integrations.c.name == name).values(**values)).rowcount == 0:
        raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    return ConfigError(
        "There is no such integration.",
        integration=name,
        remedy="Add its file to the configuration, or check the name.",
    )


def _integration(row: sa.RowMapping) -> Integration:
    return Integration(**{**row, "state": IntegrationState(row["state"])})
