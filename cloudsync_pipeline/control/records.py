"""What the control database knows of integrations and runs, as frozen data. Times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class IntegrationState(StrEnum):
    """Whether an integration is synced, stopped for a while, or out of the fleet."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Integration:
    """One integration's line in the fleet.

    Attributes:
        name: its id, and its Dagster partition.
        state, reason, state_changed_at: whether it is synced; why not, in words.
        config_fingerprint: of the configuration it was last seen with.
        last_run_id, last_mode, last_verdict, last_started_at, last_finished_at: of the newest run;
            verdict is "running" while it runs.
        last_success_at: when it was last known to owe nothing: a run ended so, or a look at its feed found nothing
            new since.
        last_scan_at: when the last full scan was merged.
        next_incremental_at, next_scan_at: when the next is due; None means at once.
        initial_done: a full sync has been completed once.
        initial_attempts, initial_next_try: failed initial syncs so far, and when to try again.
        owed, quarantined, held: paths, at the end of the last run.
        objects, files, bytes: at the end of the last run.
        scan_requested, scan_requested_at, scan_reason: a full scan was asked for: events were lost, or a person
            wants it.
        feed_mark, next_try_at: what it rests on since its last run, see `Rest`.
        last_checked_at: when its feed was last asked and had nothing new, so that no run was needed.
        put_off_until: one of its ends asked to be left alone until then; None where none did.
        unfinished_since: when the run that is under way began, or the first of several that were all killed; None
            where the newest one ended.
    """

    name: str
    state: IntegrationState
    reason: str | None
    config_fingerprint: str | None
    added_at: datetime
    state_changed_at: datetime
    last_run_id: str | None = None
    last_mode: str | None = None
    last_verdict: str | None = None
    last_started_at: datetime | None = None
    last_finished_at: datetime | None = None
    last_success_at: datetime | None = None
    last_scan_at: datetime | None = None
    next_incremental_at: datetime | None = None
    next_scan_at: datetime | None = None
    initial_done: bool = False
    initial_attempts: int = 0
    initial_next_try: datetime | None = None
    owed: int = 0
    quarantined: int = 0
    held: int = 0
    objects: int = 0
    files: int = 0
    bytes: int = 0
    scan_requested: bool = False
    scan_requested_at: datetime | None = None
    scan_reason: str | None = None
    feed_mark: str | None = None
    next_try_at: datetime | None = None
    last_checked_at: datetime | None = None
    put_off_until: datetime | None = None
    unfinished_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """What an integration rests on between two syncs: while none of it changes, a sync would have nothing to do.

    Attributes:
        feed_mark: of its feed as it was read last; None where nobody can say whether there is something new.
        next_try_at: when the first of its debts may be tried again; None where none will be by itself.
        config_fingerprint: of the configuration it was synced with.
    """

    feed_mark: str | None = None
    next_try_at: datetime | None = None
    config_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What an integration holds at the end of a run."""

    owed: int = 0
    quarantined: int = 0
    held: int = 0
    objects: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How one run ended.

    Attributes:
        mode: "initial", "incremental" or "reconcile".
        verdict: as `engine.results.Verdict` spells it.
        results: the whole result, as JSON can hold it; no secrets.
    """

    run_id: str
    integration: str
    mode: str
    verdict: str
    started_at: datetime
    finished_at: datetime
    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of the run that holds an integration."""

    integration: str
    run_id: str
    holder: str
    at: datetime
