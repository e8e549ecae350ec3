"""Which integrations need no run although one is due: nothing is owed, and their feeds have nothing new.

A run costs seconds of CPU, a look at a feed some milliseconds; most integrations have nothing new at most intervals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.wiring.ends import open_feed

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.control import Control, Integration
    from cloudsync_pipeline.feeds.base import Peek

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Feeds that are looked at side by side."""
WITHIN = 20.0
"""Seconds that one look at all of them may take; who did not answer by then gets a run, which will say so."""


async def note_resting(
    fleet: Fleet, control: Control, due: Iterable[Integration], now: datetime, *, within: float = WITHIN
) -> frozenset[str]:
    """Look at the feeds of integrations that are due, and put off those in which there is nothing new.

    Args:
        due: integrations that are due for an incremental sync.
        now: aware.
        within: seconds.

    Returns:
        The names of those that were put off by an interval. The others need a run: something is new, owed or
        unknown, or their feed did not answer.
    """
    from cloudsync_pipeline.control import rests

    asked = {
        one.name: one.feed_mark
        for one in due
        if one.feed_mark is not None
        and one.name in fleet.integrations
        and rests(one, fleet.integrations[one.name].fingerprint, now)
    }
    gate = asyncio.Semaphore(AT_ONCE)
    looks = {
        name: asyncio.create_task(_look(fleet, name, mark, gate), name=f"look at the feed of {name}")
        for name, mark in asked.items()
    }
    if not looks:
        return frozenset()
    _, late = await asyncio.wait(looks.values(), timeout=within)
    for task in late:
        task.cancel()
    await asyncio.gather(*looks.values(), return_exceptions=True)
    seen = {name: _seen(name, task) for name, task in looks.items()}
    marks = {name: peek.mark for name, peek in seen.items() if peek is not None and not peek.waiting}
    if marks:
        next_at = {name: now + timedelta(seconds=fleet.integrations[name].sync.interval) for name in marks}
        control.note_nothing_new(marks, now=now, next_at=next_at)
    return frozenset(marks)


def _seen(name: str, look: asyncio.Task[Peek | None]) -> Peek | None:
    if look.cancelled():
        log.info("%s: its feed did not answer in time", name)
        return None
    if (defect := look.exception()) is not None:
        # It must not keep the others from their runs.
        log.error("%s: its feed could not be looked at", name, exc_info=defect)
        return None
    return look.result()


async def _look(fleet: Fleet, name: str, mark: str, gate: asyncio.Semaphore) -> Peek | None:
    async with gate:
        try:
            async with open_feed(fleet.integrations[name], fleet.settings) as feed:
                return await feed.peek(mark)
        except CloudSyncError as error:
            # The run that is requested instead meets the same error, and tells it where people look.
            log.info("%s: its feed could not be looked at: %s", name, error)
            return None
