"""What is true of the storage: events taken in, a listing merged, owed keys asked for one by one."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.engine import staging
from cloudsync_pipeline.engine.adopting import adopt_restored
from cloudsync_pipeline.engine.asking import observe_owed
from cloudsync_pipeline.engine.results import EventsResult, SnapshotResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import feeding, merging, observing, restored, runs
from cloudsync_pipeline.lake.observing import Merged


async def receive_events(session: Session, *, run_id: str) -> EventsResult:
    """Take what the feed has, commit it with the paths it makes owed, and only then acknowledge it.

    Where there is no feed, nothing was received. A gap asks for a full scan.

    Raises:
        AccessDenied, Unreachable, Unavailable, BadAnswer: the feed; pages committed before stay committed.
    """
    began = time.monotonic()
    result = await _receive(session, run_id) if session.feed else EventsResult()
    stored = session.lake.current_snapshot() if result.new or result.malformed else None
    result = replace(result, seconds=time.monotonic() - began, snapshot_id=stored)
    if result.gap and session.control:
        session.control.request_scan(session.integration, "the event feed lost entries between two reads")
    session.note_step(run_id, "change_events", asdict(result))
    return result


async def _receive(session: Session, run_id: str) -> EventsResult:
    feed = session.feed
    if feed is None:
        return EventsResult()
    capabilities = feed.capabilities
    received = new = known = malformed = 0
    gap = False
    mark: str | None = None
    by_type: dict[str, int] = {}
    cursor = runs.get_meta(session.lake, feeding.CURSOR) if capabilities.cursor else None
    while received < session.policy.events_per_run:
        page = await feed.receive(limit=capabilities.max_page, cursor=cursor)
        if page.received == 0 and not page.events and not page.malformed:
            mark = page.mark or page.cursor or mark or ""
            break
        moved = page.cursor if page.cursor != cursor else None
        recorded = feeding.record_page(session.lake, run_id, page, session.clock(), cursor=moved)
        cursor = moved or cursor
        await feed.acknowledge(page)
        mark = page.mark if page.mark is not None else page.cursor
        received += max(page.received, 1)
        new += recorded.new
        malformed += recorded.malformed
        known += recorded.known
        for kind, count in recorded.by_type.items():
            by_type[kind] = by_type.get(kind, 0) + count
        if capabilities.repeats:
            # It gives the same again: one page is all there is to have, and a full one with nothing known
            # in it means that others were pushed out unread.
            gap = page.full and recorded.known == 0
            break
        if not page.full:
            break
    return EventsResult(received, new, known, malformed, gap, by_type, mark=mark)


async def take_snapshot(session: Session, *, run_id: str) -> SnapshotResult:
    """Bring `objects` up to date: merge a complete staged listing if there is one, then ask for the owed keys.

    Raises:
        AccessDenied, Unreachable, Unavailable, ContainerNotFound: the storage; what was observed stays observed.
    """
    began = time.monotonic()
    merged = merge_staged(session, run_id)
    if merged is not None:
        await adopt_restored(session, run_id=run_id)
    observed, unobserved, changes = await observe_owed(session, run_id)
    totals = observing.totals(session.lake)
    scan = merged or Merged(0, 0, 0)
    result = SnapshotResult(
        scanned=merged is not None,
        added=scan.added + changes.added,
        changed=scan.changed + changes.changed,
        removed=scan.removed + changes.removed,
        observed=observed,
        objects=totals.objects,
        bytes=totals.bytes,
        owed=totals.owed,
        drift=merged.drift if merged else None,
        seconds=time.monotonic() - began,
        snapshot_id=session.lake.current_snapshot(),
        unobserved=unobserved,
    )
    session.note_step(run_id, "state_snapshot", asdict(result))
    return result


def merge_staged(session: Session, run_id: str) -> Merged | None:
    """Merge the newest complete listing that is not in the state yet; None where there is none."""
    lake = session.lake
    merged = None
    complete = staging.complete_listings(lake.staging)
    ready = [one for one in complete if staging.is_whole(one) and not observing.is_merged(lake, one.listing_id)]
    if ready:
        keep = session.policy.deletes is DeletePolicy.KEEP
        # Without a feed, before the first scan and after a restore, nothing is announced: then what is new is no drift.
        known = runs.get_meta(lake, "scanned_at") is not None and restored.read_mark(lake) is None
        announced = session.feed is not None and known
        merged = merging.merge_listing(
            lake, run_id, ready[-1], keep_deleted=keep, announced=announced, now=session.clock()
        )
    for listing in complete:
        staging.remove(lake.staging, listing.listing_id)
    return merged
