"""Step one of a full scan: the whole storage, listed into the staging folder."""

from __future__ import annotations

import time
from dataclasses import asdict

from cloudsync_pipeline.engine import staging
from cloudsync_pipeline.engine.results import ListingResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import observing

OLDER = "the listing of an interrupted run was used, which does not show what has changed since"
"""Why a scan is asked for after one that was resumed."""


async def list_bucket(session: Session, *, run_id: str) -> ListingResult:
    """List the storage, completely or not at all.

    A complete listing that an interrupted run left within the last hour, and that is not in the state yet,
    is used instead of a new one. Without a feed nobody tells what has changed since: then another scan is
    asked for, which is due at once.

    Raises:
        ContainerNotFound, AccessDenied, IncompleteListing: nothing was staged, nothing may be concluded.
    """
    began = time.monotonic()
    lake = session.lake
    ready = _usable(session)
    if ready is not None:
        staging.clear(lake.staging, keep=ready.listing_id)
        if session.feed is None and session.control:
            session.control.request_scan(session.integration, OLDER, now=session.clock())
        result = ListingResult(
            ready.listing_id, ready.objects, ready.bytes, time.monotonic() - began, True, ready.begun_at.isoformat()
        )
    else:
        staging.clear(lake.staging)
        begun_at = session.clock()
        stage = staging.Stage.begin(lake.staging, f"{begun_at:%Y%m%dT%H%M%S%f}Z", begun_at, lake.current_snapshot())
        try:
            async for batch in session.storage.list():
                await stage.add(batch)
            listing = await stage.complete(session.clock())
        except BaseException:
            await stage.abandon()
            raise
        result = ListingResult(
            listing.listing_id, listing.objects, listing.bytes, time.monotonic() - began, False, begun_at.isoformat()
        )
    session.note_step(run_id, "bucket_listing", asdict(result))
    return result


def _usable(session: Session) -> observing.Listing | None:
    oldest = session.clock() - staging.GOOD_FOR
    for listing in reversed(staging.complete_listings(session.lake.staging)):
        usable = listing.begun_at >= oldest and staging.is_whole(listing)
        if usable and not observing.is_merged(session.lake, listing.listing_id):
            return listing
    return None
