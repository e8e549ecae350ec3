"""What each step of a sync returns. Plain data: counts, bytes, seconds, lake snapshot ids; no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """Why a sync runs and where it starts: at the listing (initial, reconcile) or at the events."""

    INITIAL = "initial"
    INCREMENTAL = "incremental"
    RECONCILE = "reconcile"


class Verdict(StrEnum):
    """How a sync ended, worst first where several apply."""

    FAILED = "failed"
    """It broke off; what was confirmed stays confirmed, the rest is owed."""
    HELD = "held"
    """The delete guard holds deletes until somebody approves them; everything else was done."""
    PARTIAL = "partial"
    """Some operations failed or were quarantined in this run; they stay owed."""
    PLANNED = "planned"
    """A dry run: nothing was sent."""
    IN_SYNC = "in_sync"
    """Everything that was due is done; what is quarantined is counted beside it."""


@dataclass(frozen=True, slots=True)
class ListingResult:
    """A complete, staged listing.

    Attributes:
        listing_id: names the staged listing; `take_snapshot` merges it once.
        reused: it was complete before this run began (an interrupted run left it).
        begun_at: when its first page was requested, ISO 8601, by our clock; None in what older releases stored.
    """

    listing_id: str
    objects: int
    bytes: int
    seconds: float
    reused: bool = False
    begun_at: str | None = None


@dataclass(frozen=True, slots=True)
class EventsResult:
    """What the feed gave and what of it was new.

    Attributes:
        gap: entries were lost between two reads: a full scan is due.
        snapshot_id: the commit that holds the new events, None where there were none.
        mark: of the feed as it was read last; None where there is none.
    """

    received: int = 0
    new: int = 0
    duplicates: int = 0
    malformed: int = 0
    gap: bool = False
    by_type: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    snapshot_id: int | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """The state of the objects after a listing was merged or owed keys were observed.

    Attributes:
        scanned: True if a full listing was merged.
        added, changed, removed: objects, compared with the state before.
        observed: keys asked of the storage one by one.
        objects, bytes: all that the state holds now.
        owed: paths owed after it.
        drift: after a scan, differences that no event had announced; None otherwise.
        snapshot_id: of the lake, with these objects.
        unobserved: owed keys that the storage would not answer about; they stay owed and say why.
    """

    scanned: bool
    added: int
    changed: int
    removed: int
    observed: int
    objects: int
    bytes: int
    owed: int
    drift: int | None
    seconds: float
    snapshot_id: int
    unobserved: int = 0


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan, committed.

    Attributes:
        plan_id: names it in the lake; None for a dry run, which stores nothing. A plan of nothing is not stored.
        by_kind: operations to be sent, by kind, without the held ones.
        held: deletes that the guard holds.
        guard_reason: why, in words; None where nothing is held.
        bytes: content to be sent.
        quarantined: owed paths left out because they are quarantined and not yet due.
        waiting: owed paths left out because they are not due, not observed, or blocked by a held delete.
        examples: up to 20 (kind, path, new_path, reason, held), for people.
    """

    plan_id: str | None
    by_kind: Mapping[str, int]
    held: int
    guard_reason: str | None
    bytes: int
    quarantined: int
    waiting: int
    examples: tuple[tuple[str, str, str | None, str, bool], ...]
    seconds: float
    snapshot_id: int

    @property
    def operations(self) -> int:
        return sum(self.by_kind.values())


@dataclass(frozen=True, slots=True)
class Failure:
    """One operation that was not done, for reports."""

    kind: str
    path: str
    error_kind: str
    error: str
    status: str


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What became of a plan.

    Attributes:
        plan_id: the last plan that was sent; None where there was nothing to send.
        done, failed, skipped, quarantined: operations by kind ({"create": 3}).
        failures: up to 50, for people; all are in the lake's outcomes.
    """

    plan_id: str | None
    done: Mapping[str, int]
    failed: Mapping[str, int]
    skipped: Mapping[str, int]
    quarantined: Mapping[str, int]
    held: int
    bytes: int
    seconds: float
    failures: tuple[Failure, ...]
    snapshot_id: int

    @property
    def operations(self) -> int:
        return sum(map(sum, (m.values() for m in (self.done, self.failed, self.skipped, self.quarantined))))


@dataclass(frozen=True, slots=True)
class SyncResult:
    """One sync from end to end; what the command prints and the file manager is told."""

    integration: str
    run_id: str
    mode: Mode
    verdict: Verdict
    started_at: datetime
    seconds: float
    listing: ListingResult | None = None
    events: EventsResult | None = None
    snapshot: SnapshotResult | None = None
    plan: PlanResult | None = None
    execution: ExecutionResult | None = None
    error: str | None = None
    report_error: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an execution stands; given to the progress callback about once a second.

    Attributes:
        operations_total, bytes_total: of the plan, without held operations.
        rate: bytes a second over the last seconds; eta: seconds left, None while unknown.
    """

    integration: str
    operations: int
    operations_total: int
    bytes: int
    bytes_total: int
    failed: int
    seconds: float
    rate: float
    eta: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """One integration's state as its lake knows it.

    Attributes:
        scanned_at: when the last full scan was merged; None before the first.
        owed, quarantined, held: paths.
        last_runs: newest first, up to 10: (run_id, mode, verdict or "running", started_at, seconds).
    """

    integration: str
    objects: int
    objects_bytes: int
    files: int
    files_bytes: int
    owed: int
    quarantined: int
    held: int
    events: int
    scanned_at: datetime | None
    snapshot_id: int
    schema_version: int
    last_runs: tuple[tuple[str, str, str, datetime, float | None], ...]
