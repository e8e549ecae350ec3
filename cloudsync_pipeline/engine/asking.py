"""Owed keys, asked of the storage one by one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from cloudsync_pipeline.core.errors import NotFound, RemoteError
from cloudsync_pipeline.core.retry import LONGEST_DELAY, delay_before
from cloudsync_pipeline.engine.concurrency import map_bounded
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import observing
from cloudsync_pipeline.lake.observing import Merged, Observation, Unanswered

DOUBT_AFTER = 25
"""So many keys in a row without an answer, and the storage is asked whether it is there at all."""


async def observe_owed(session: Session, run_id: str) -> tuple[int, int, Merged]:
    """Ask the storage about every owed key that was named since it was last asked.

    A key that the storage does not tell about stays owed with the reason and stops no other.

    Returns:
        How many keys were asked for, how many of them were not answered, and what changed.

    Raises:
        RemoteError: the storage is away, or refuses everything; what it had answered before is recorded.
    """
    count = refused = 0
    total = Merged(0, 0, 0)
    after: str | None = None
    asking = _Asking(session)
    while keys := observing.keys_to_observe(session.lake, session.clock(), after=after):
        answers = await map_bounded(keys, asking.about, limit=session.policy.transfers)
        seen = [answer for answer in answers if isinstance(answer, Observation)]
        failures = [answer for answer in answers if isinstance(answer, Unanswered)]
        merged = observing.record_observations(session.lake, run_id, seen, session.clock())
        if failures and not seen:
            await session.storage.health()
        observing.record_unanswered(
            session.lake,
            run_id,
            failures,
            quarantine_after=session.policy.quarantine_after,
            now=session.clock(),
        )
        _respect(session, failures)
        total = Merged(total.added + merged.added, total.changed + merged.changed, total.removed + merged.removed)
        count += len(keys)
        refused += len(failures)
        after = keys[-1]
    return count, refused, total


def _respect(session: Session, failures: Sequence[Unanswered]) -> None:
    """Put the next run off for as long as the storage asked to be left alone."""
    longest = max((one.error.retry_after or 0.0 for one in failures), default=0.0)
    if longest > LONGEST_DELAY and session.control is not None:
        session.control.put_off(session.integration, longest, now=session.clock())


class _Asking:
    """HEADs with retries, which end all of them when the storage turns out to be away."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._in_a_row = 0

    async def about(self, key: str) -> Observation | Unanswered:
        attempts = self._session.policy.retry_attempts
        attempt = 1
        while True:
            asked_at = self._session.clock()
            try:
                answer = Observation(key, await self._session.storage.head(key), asked_at)
            except NotFound:
                answer = Observation(key, None, asked_at)
            except RemoteError as error:
                wait = delay_before(attempt + 1, jitter=random.random(), retry_after=error.retry_after)
                if not error.retryable or attempt >= attempts or wait > LONGEST_DELAY:
                    return await self._without_answer(key, error)
                await asyncio.sleep(wait)
                attempt += 1
                continue
            self._in_a_row = 0
            return answer

    async def _without_answer(self, key: str, error: RemoteError) -> Unanswered:
        self._in_a_row += 1
        if self._in_a_row % DOUBT_AFTER == 0:
            await self._session.storage.health()
        return Unanswered(key, error)
