"""What one integration's lake holds: files, operations, quarantine; page by page."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from cloudsync_pipeline.api.access import Reader, Served
from cloudsync_pipeline.api.cursors import cursor as to_cursor
from cloudsync_pipeline.api.cursors import place
from cloudsync_pipeline.api.models import (
    Cursor,
    FileEntry,
    Files,
    Limit,
    Name,
    OperationEntry,
    Operations,
    Prefix,
    Quarantine,
    QuarantineEntry,
)
from cloudsync_pipeline.api.problems import Problem, documented
from cloudsync_pipeline.lake import Lake, pages
from cloudsync_pipeline.lake.pages import FileState, OperationStatus

router = APIRouter(tags=["integrations"])

_NEWEST_SNAPSHOT = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@router.get("/integrations/{id}/files", responses=documented(404, 410))
async def files(
    name: Name,
    world: Served,
    _: Reader,
    prefix: Prefix = "",
    state: Annotated[FileState | None, Query(description="Only paths that stand so.")] = None,
    snapshot: Annotated[int | None, Query(ge=1, le=_NEWEST_SNAPSHOT, description="As of this snapshot.")] = None,
    as_of: Annotated[datetime | None, Query(description="As of this time; UTC where it names no zone.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Files:
    """Paths that the file manager holds or is owed, with their state, now or as of an earlier time.

    All pages that follow one another are of one snapshot. `snapshot` goes before `as_of`.
    """
    version, after = place("files", cursor, int, str) if cursor else (snapshot, None)
    time = None if version is not None else _in_utc(as_of)

    def ask(lake: Lake) -> tuple[int, list[pages.FileRow]]:
        found = lake.as_of(version, time)
        return found, pages.files(lake, version=found, limit=limit + 1, prefix=prefix, state=state, after=after)

    found, rows = await world.read_lake(name, ask)
    more = len(rows) > limit
    return Files(
        integration=name,
        snapshot_id=found,
        files=[FileEntry(**asdict(row)) for row in rows[:limit]],
        next_cursor=to_cursor("files", found, rows[limit - 1].path) if more else None,
    )


@router.get("/integrations/{id}/operations", responses=documented(404))
async def operations(
    name: Name,
    world: Served,
    _: Reader,
    run: Annotated[str | None, Query(max_length=200, description="Only those that this run planned.")] = None,
    status: Annotated[OperationStatus | None, Query(description="Only those that stand so.")] = None,
    prefix: Prefix = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Operations:
    """What was planned and what became of it: the newest plan first, within it in the order of sending."""
    after: Any = None
    if cursor:
        at, plan_id, seq = place("operations", cursor, int, str, int)
        after = _from_micros(at), plan_id, seq
    rows = await world.read_lake(
        name,
        lambda lake: pages.operations(lake, limit=limit + 1, run_id=run, status=status, prefix=prefix, after=after),
    )
    more, last = len(rows) > limit, rows[limit - 1] if len(rows) > limit else None
    return Operations(
        integration=name,
        operations=[OperationEntry(**asdict(row)) for row in rows[:limit]],
        next_cursor=to_cursor("operations", _micros(last.planned_at), last.plan_id, last.seq)
        if more and last
        else None,
    )


@router.get("/integrations/{id}/quarantine", responses=documented(404))
async def quarantine(
    name: Name, world: Served, _: Reader, prefix: Prefix = "", limit: Limit = 100, cursor: Cursor = None
) -> Quarantine:
    """Paths that are not tried for now, with the reason, and when they will be."""
    after: Any = tuple(place("quarantine", cursor, str, str)) if cursor else None
    rows = await world.read_lake(name, lambda lake: pages.quarantine(lake, limit=limit + 1, prefix=prefix, after=after))
    more = len(rows) > limit
    return Quarantine(
        integration=name,
        quarantine=[QuarantineEntry(**asdict(row)) for row in rows[:limit]],
        next_cursor=to_cursor("quarantine", rows[limit - 1].path, rows[limit - 1].aspect) if more else None,
    )


def _in_utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "time", "The time is beyond the years 1 to 9999 in UTC.") from None


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _from_micros(count: int) -> datetime:
    try:
        return _EPOCH + count * _MICROSECOND
    except OverflowError:
        raise Problem(422, "cursor", "The cursor is none of this listing.") from None
