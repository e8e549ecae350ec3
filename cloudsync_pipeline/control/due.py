"""Which integrations are due for a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.control.records import IntegrationState
from cloudsync_pipeline.control.tables import integrations


def due_query(now: datetime, mode: str) -> sa.Select[Any]:
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
        .where(t.state == IntegrationState.ACTIVE.value, wanted)
        .order_by(since.asc().nulls_first(), t.name)
    )


def _reached(column: sa.ColumnElement[Any], now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(column.is_(None), column <= now)
