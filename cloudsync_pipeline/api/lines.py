"""What the control database says of integrations, as the API tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from cloudsync_pipeline.api.models import Counts, Ends, IntegrationLine, LastRun, Running, SyncStatus
from cloudsync_pipeline.config import Fleet, IntegrationConfig
from cloudsync_pipeline.control import Backlog, Heartbeat, Integration, IntegrationState, RunResult
from cloudsync_pipeline.control.overdue import overdue_since

_NAMED = 100
"""Integrations that are named at most where a list is for people."""
_NOTHING = Counts(objects=0, files=0, bytes=0, owed=0, quarantined=0, held=0)


def names(fleet: Fleet, known: Mapping[str, Integration]) -> list[str]:
    """Every integration that is configured or remembered, by name."""
    return sorted({*fleet.integrations, *fleet.errors, *known})


def line(fleet: Fleet, name: str, known: Integration | None, now: datetime) -> IntegrationLine:
    """One integration."""
    error = fleet.errors.get(name)
    if known is None:
        return IntegrationLine(
            id=name,
            state="broken" if error else "new",
            reason=str(error.message) if error else None,
            last_run=None,
            last_success_at=None,
            last_scan_at=None,
            next_incremental_at=None,
            next_scan_at=None,
            overdue_since=None,
            counts=_NOTHING,
        )
    config = fleet.integrations.get(name)
    return IntegrationLine(
        id=name,
        state=_state(known, broken=error is not None),
        reason=error.message if error else known.reason,
        last_run=_last_run(known),
        last_success_at=known.last_success_at,
        last_scan_at=known.last_scan_at,
        next_incremental_at=known.next_incremental_at,
        next_scan_at=known.next_scan_at,
        overdue_since=overdue_since(known, config.sync.interval, now) if config else None,
        counts=_counts(known),
    )


def status(
    fleet: Fleet,
    known: Mapping[str, Integration],
    heartbeats: Sequence[Heartbeat],
    backlogs: Mapping[str, Backlog],
    now: datetime,
) -> SyncStatus:
    """The fleet as a whole."""
    lines = [line(fleet, name, known.get(name), now) for name in names(fleet, known)]
    shown = [one for one in lines if one.state != "removed"]
    return SyncStatus(
        integrations=dict(Counter(one.state for one in lines)),
        verdicts=dict(Counter(one.last_run.verdict for one in shown if one.last_run and one.last_run.verdict)),
        running=[Running(integration=one.integration, run_id=one.run_id, at=one.at) for one in heartbeats],
        overdue=[one.id for one in shown if one.overdue_since][:_NAMED],
        failed=[one.id for one in shown if one.last_run and one.last_run.verdict == "failed"][:_NAMED],
        held=[one.id for one in shown if one.counts.held][:_NAMED],
        counts=Counts(**{field: sum(getattr(one.counts, field) for one in shown) for field in Counts.model_fields}),
        waiting_events=sum(one.count for one in backlogs.values()),
    )


def ends(config: IntegrationConfig) -> Ends:
    """What an integration connects."""
    return Ends(
        storage=config.storage.type,
        file_manager=config.file_manager.type,
        feed=config.feed.type if config.feed else None,
        destination_prefix=config.destination_prefix,
        interval=config.sync.interval,
        owner=config.owner,
        tags=config.tags,
    )


def ended(result: RunResult) -> LastRun:
    """A run that ended."""
    return LastRun(
        run_id=result.run_id,
        mode=result.mode,
        verdict=result.verdict,
        started_at=result.started_at,
        finished_at=result.finished_at,
    )


def _state(known: Integration, *, broken: bool) -> Literal["active", "paused", "removed", "broken"]:
    match known.state:
        case IntegrationState.REMOVED:
            return "removed"
        case IntegrationState.PAUSED:
            return "paused"
        case IntegrationState.ACTIVE:
            return "broken" if broken else "active"


def _last_run(known: Integration) -> LastRun | None:
    if known.last_run_id is None:
        return None
    return LastRun(
        run_id=known.last_run_id,
        mode=known.last_mode,
        verdict=known.last_verdict,
        started_at=known.last_started_at,
        finished_at=known.last_finished_at,
    )


def _counts(known: Integration) -> Counts:
    return Counts(**{field: getattr(known, field) for field in Counts.model_fields})
