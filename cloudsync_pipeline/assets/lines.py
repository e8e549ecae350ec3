"""What a step says in its run's log: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from cloudsync_pipeline.engine.results import (
    EventsResult,
    ExecutionResult,
    ListingResult,
    PlanResult,
    Progress,
    SnapshotResult,
)


def listed(result: ListingResult) -> str:
    """A listing."""
    before = "; listed by an interrupted run, and used again" if result.reused else ""
    return f"{result.objects:,} objects, {size(result.bytes)}{before}"


def received(result: EventsResult) -> str:
    """What a feed gave."""
    return f"{result.received:,} events received, {result.new:,} new: {totals(result.by_type)}"


def observed(result: SnapshotResult) -> str:
    """How the objects changed."""
    return (
        f"{result.objects:,} objects: {result.added:,} added, {result.changed:,} changed, {result.removed:,} removed; "
        f"{result.owed:,} paths owed"
    )


def drifted(result: SnapshotResult) -> str:
    """What a scan found that should have been known."""
    return f"The scan found {result.drift or 0:,} differences that no event had announced."


def planned(result: PlanResult) -> str:
    """A plan."""
    return f"Planned: {totals(result.by_kind)}; {size(result.bytes)} to send"


def held(result: PlanResult) -> str:
    """What the delete guard keeps back."""
    return f"The delete guard holds {result.held:,} deletes: {result.guard_reason}"


def executed(result: ExecutionResult) -> str:
    """What was done."""
    return f"Done: {totals(result.done)}; {size(result.bytes)} sent"


def not_done(result: ExecutionResult) -> str:
    """What failed."""
    return f"Failed, and still owed: {totals(result.failed)}"


def progress(now: Progress) -> str:
    """Where an execution stands: operations, bytes, rate, time left."""
    parts = [
        f"{now.operations:,} of {now.operations_total:,} operations ({share(now):.0%})",
        f"{size(now.bytes)} of {size(now.bytes_total)}",
        f"{size(round(now.rate))}/s",
        f"{duration(now.eta)} left" if now.eta is not None else "time left not known yet",
    ]
    if now.failed:
        parts.append(f"{now.failed:,} failed")
    return ", ".join(parts)


def share(now: Progress) -> float:
    """The part of the work that is done, 0 to 1: by bytes, which say most about time, where there are any to send."""
    if now.bytes_total:
        return now.bytes / now.bytes_total
    return now.operations / now.operations_total if now.operations_total else 1.0


def totals(counts: Mapping[str, int]) -> str:
    """Counts by kind: `3 create, 1 delete`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()) if count) or "nothing"


def size(number: int) -> str:
    """Bytes for people."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds for people: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
