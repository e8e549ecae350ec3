"""Which integrations are due for a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.control.records import Integration, IntegrationState
from cloudsync_pipeline.control.tables import integrations

LONGEST_PUT_OFF = timedelta(days=1)
"""However long an end asks to be left alone: after a day it is asked again."""
_RESTFUL = frozenset({"in_sync", "partial"})


def query(now: datetime, mode: str) -> sa.Select[Any]:
    """Selects the integrations that `Control.due` tells of; arguments and errors are its."""
    t = integrations.c
    since: sa.ColumnElement[Any]
    match mode:
        case "initial":
            since, wanted = t.initial_next_try, sa.and_(~t.initial_done, _reached(t.initial_next_try, now))
        case "incremental":
            since, wanted = t.next_incremental_at, sa.and_(t.initial_done, _reached(t.next_incremental_at, now))
        case "reconcile":
            reached = sa.or_(t.scan_requested, _reached(t.next_scan_at, now))
            since, wanted = t.next_scan_at, sa.and_(t.initial_done, reached)
        case _:
            raise ValueError(f"{mode!r} is no mode of a sync")
    return (
        sa.select(integrations)
        .where(t.state == IntegrationState.ACTIVE.value, wanted, _reached(t.put_off_until, now))
        .order_by(since.asc().nulls_first(), t.name)
    )


def put_off(connection: sa.Connection, name: str, seconds: float, now: datetime) -> None:
    """See `Control.put_off`."""
    until = now + min(timedelta(seconds=max(0.0, min(seconds, 1e9))), LONGEST_PUT_OFF)
    t = integrations.c
    later = sa.or_(t.put_off_until.is_(None), t.put_off_until < until)
    connection.execute(integrations.update().where(t.name == name, later).values(put_off_until=until))


def note_nothing_new(
    connection: sa.Connection, marks: Mapping[str, str], now: datetime, next_at: Mapping[str, datetime]
) -> None:
    """See `Control.note_nothing_new`."""
    t = integrations.c
    in_step = sa.case((t.last_verdict == "in_sync", now), else_=t.last_success_at)
    for name, mark in marks.items():
        connection.execute(
            integrations.update()
            .where(t.name == name, t.feed_mark.is_not(None))
            .values(
                feed_mark=mark,
                last_checked_at=now,
                next_incremental_at=next_at[name],
                last_success_at=in_step,
            )
        )


def rests(integration: Integration, fingerprint: str, now: datetime) -> bool:
    """Whether a sync could have nothing to do but what its feed tells: that is then worth asking first.

    Args:
        fingerprint: of its present configuration: another policy may change what is to be done.
        now: aware.
    """
    return (
        integration.feed_mark is not None
        and integration.last_verdict in _RESTFUL
        and integration.config_fingerprint == fingerprint
        and (integration.next_try_at is None or integration.next_try_at > now)
    )


def _reached(column: sa.ColumnElement[Any], now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(column.is_(None), column <= now)
