"""What is true of the storage: events taken in, a listing merged, owed keys asked for one by one."""

from __future__ import annotations

import time
from dataclasses import asdict

from cloudsync_pipeline.core.errors import NotFound, RemoteError
from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.engine import staging
from cloudsync_pipeline.engine.concurrency import map_bounded
from cloudsync_pipeline.engine.results import EventsResult, SnapshotResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import feeding, observing, runs
from cloudsync_pipeline.lake.observing import Merged, Observation


async def receive_events(session: Session, *, run_id: str) -> EventsResult:
    """Take what the feed has, commit it with the paths it makes owed, and only then acknowledge it.

    Where there is no feed, nothing was received. A gap asks for a full scan.

    Raises:
        AccessDenied, Unreachable, Unavailable, BadAnswer: the feed; pages committed before stay committed.
    """
    began = time.monotonic()
    result = await _receive(session, run_id) if session.feed else EventsResult()
    result = EventsResult(
        **{**asdict(result), "seconds": time.monotonic() - began, "snapshot_id": session.lake.current_snapshot()}
    )
    if result.gap and session.control:
        session.control.request_scan(session.integration, "the event feed lost entries between two reads")
    runs.record_step(session.lake, run_id, "change_events", asdict(result), session.clock())
    return result


async def _receive(session: Session, run_id: str) -> EventsResult:
    feed = session.feed
    if feed is None:
        return EventsResult()
    capabilities = feed.capabilities
    received = new = known = malformed = 0
    gap = False
    by_type: dict[str, int] = {}
    cursor = runs.get_meta(session.lake, "feed_cursor")
    while received < session.policy.events_per_run:
        page = await feed.receive(limit=capabilities.max_page, cursor=cursor)
        if page.received == 0 and not page.events and not page.malformed:
            break
        recorded = feeding.record_page(session.lake, run_id, page, session.clock())
        if page.cursor is not None and page.cursor != cursor:
            cursor = page.cursor
            _remember_cursor(session, run_id, cursor)
        await feed.acknowledge(page)
        received += page.received
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
    return EventsResult(received, new, known, malformed, gap, by_type)


def _remember_cursor(session: Session, run_id: str, cursor: str) -> None:
    session.lake.commit(
        lambda connection: runs.set_meta(connection, "feed_cursor", cursor), run_id=run_id, step="cursor"
    )


async def take_snapshot(session: Session, *, run_id: str) -> SnapshotResult:
    """Bring `objects` up to date: merge a complete staged listing if there is one, then ask for the owed keys.

    Raises:
        AccessDenied, Unreachable, Unavailable, ContainerNotFound: the storage; what was observed stays observed.
    """
    began = time.monotonic()
    first = runs.get_meta(session.lake, "scanned_at") is None
    merged = merge_staged(session, run_id)
    observed, unobserved, changes = await observe_owed(session, run_id)
    totals = observing.totals(session.lake)
    scan = merged or Merged(0, 0, 0, 0)
    result = SnapshotResult(
        scanned=merged is not None,
        added=scan.added + changes.added,
        changed=scan.changed + changes.changed,
        removed=scan.removed + changes.removed,
        observed=observed,
        objects=totals.objects,
        bytes=totals.bytes,
        owed=totals.owed,
        drift=None if merged is None or first else merged.missed,
        seconds=time.monotonic() - began,
        snapshot_id=session.lake.last_change("objects"),
        unobserved=unobserved,
    )
    runs.record_step(session.lake, run_id, "state_snapshot", asdict(result), session.clock())
    return result


def merge_staged(session: Session, run_id: str) -> Merged | None:
    """Merge the newest complete listing that is not in the state yet; None where there is none."""
    lake = session.lake
    merged = None
    ready = [one for one in staging.complete_listings(lake.staging) if not observing.is_merged(lake, one.listing_id)]
    if ready:
        keep = session.policy.deletes is DeletePolicy.KEEP
        merged = observing.merge_listing(lake, run_id, ready[-1], keep_deleted=keep, now=session.clock())
    for listing in staging.complete_listings(lake.staging):
        staging.remove(lake.staging, listing.listing_id)
    return merged


async def observe_owed(session: Session, run_id: str) -> tuple[int, int, Merged]:
    """Ask the storage about every owed key that was named since it was last asked.

    A key that the storage refuses to tell about stays owed with the reason and stops no other.

    Returns:
        How many keys were asked for, how many of them were not answered, and what changed.

    Raises:
        CloudSyncError: the storage could not be asked at all; what it had answered is recorded.
    """
    count = refused = 0
    total = Merged(0, 0, 0, 0)
    after: str | None = None
    while keys := observing.keys_to_observe(session.lake, session.clock(), after=after):
        answers = await map_bounded(keys, lambda key: _observe(session, key), limit=session.policy.transfers)
        seen = [answer for answer in answers if isinstance(answer, Observation)]
        failures = [answer for answer in answers if isinstance(answer, observing.Unanswered)]
        merged = observing.record_observations(session.lake, run_id, seen, session.clock())
        observing.record_unanswered(session.lake, run_id, failures)
        total = Merged(total.added + merged.added, total.changed + merged.changed, total.removed + merged.removed, 0)
        count += len(keys)
        refused += len(failures)
        after = keys[-1]
        if failures and (not seen or any(failure.error.retryable for failure in failures)):
            raise failures[0].error
    return count, refused, total


async def _observe(session: Session, key: str) -> Observation | observing.Unanswered:
    asked_at = session.clock()
    try:
        return Observation(key, await session.storage.head(key), asked_at)
    except NotFound:
        return Observation(key, None, asked_at)
    except RemoteError as error:
        return observing.Unanswered(key, error)
