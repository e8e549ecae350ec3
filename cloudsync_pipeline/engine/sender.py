"""Sends the operations of one plan: many at once within a stage, one stage after the other.

Outcomes are committed in batches while it runs, and at the end of each stage. An operation is sent only
when a commit says that it may have been: after a crash, what lies behind that mark was never sent. When
outcomes cannot be committed, nothing more is sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    LockLost,
    StorageFull,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.ordering import is_parking
from cloudsync_pipeline.core.records import Operation, OperationKind, Outcome, OutcomeStatus
from cloudsync_pipeline.core.retry import LONGEST_DELAY, delay_before
from cloudsync_pipeline.engine.concurrency import ByteBudget, carried_through
from cloudsync_pipeline.engine.doubt import settle
from cloudsync_pipeline.engine.operations import failed, never_stood, perform
from cloudsync_pipeline.engine.plan import AHEAD
from cloudsync_pipeline.engine.results import Progress
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.transfer import Attempt, Counter
from cloudsync_pipeline.lake import outcomes, plans
from cloudsync_pipeline.lake.outcomes import Done
from cloudsync_pipeline.lake.plans import Plan

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.execute import Tallies

BATCH = 2500
"""Outcomes in one commit, at most."""
COMMIT_EVERY = 2.0
"""Seconds between commits of outcomes, at most, while there are any."""
GIVE_UP_AFTER = 25
"""So many operations in a row that fail because the other side is away, and sending stops."""
AWAY = (Unreachable, Unavailable, AccessDenied, StorageFull)
_OF_PERMISSIONS = {OperationKind.SET_PERMISSIONS, OperationKind.READ_PERMISSIONS}

BUFFERED_AT_MOST = 4 * 1024 * 1024
"""Bytes of one transfer that are in memory at once, however large the object: pieces read, kept back and sent."""


def _buffered(operation: Operation) -> int:
    sends = operation.kind in (OperationKind.CREATE, OperationKind.UPDATE)
    return min(operation.size or 0, BUFFERED_AT_MOST) if sends else 0


class Sender:
    """One execution of one plan. `changed` tells afterwards whether objects turned out not to be as planned."""

    def __init__(self, session: Session, run_id: str, plan: Plan, tallies: Tallies) -> None:
        self.session = session
        self.run_id = run_id
        self.plan = plan
        self.tallies = tallies
        self.counter = Counter()
        self.changed = False
        self._finished: list[Done] = []
        self._committing = asyncio.Lock()
        self._budget = ByteBudget(session.policy.max_bytes_in_flight)
        self._committed_at = time.monotonic()
        self._mark = plan.dispatched_seq
        self._count = 0
        self._failed = 0
        self._in_a_row = 0
        self._began = time.monotonic()
        self._bytes_total = 0
        self._rates: deque[tuple[float, int]] = deque(maxlen=10)

    async def run(self) -> None:
        """Send everything that is not held, and close the plan.

        Raises:
            CommitFailed, StorageFull: outcomes could not be recorded.
            CloudSyncError: the other side is away; what was done is recorded.
        """
        ticker = asyncio.create_task(self._tick())
        try:
            stages = plans.stages(self.session.lake, self.plan.plan_id)
            self._bytes_total = sum(stage.bytes for stage in stages)
            moved = False
            for number, stage in enumerate(stages, start=1):
                depends = moved or not stage.kinds.isdisjoint(_OF_PERMISSIONS)
                await self._send_stage(self._operations(stage.number, depends), ticker)
                await self._commit(close=number == len(stages))
                moved = moved or OperationKind.MOVE in stage.kinds
            if not stages:
                await self._commit(close=True)
        except BaseException:
            # Whatever was acknowledged is recorded, also when this is being cancelled.
            await carried_through(self._commit_quietly())
            raise
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
        self._tell()

    # --- stages ---------------------------------------------------------------------------------

    async def _operations(self, stage: int, depends: bool) -> AsyncIterator[Operation]:
        """What is to be sent in a stage; `depends` on what became of the stages before."""
        lake, plan_id, after = self.session.lake, self.plan.plan_id, -1

        def next_page() -> tuple[int | None, list[Operation]]:
            page = plans.operations(lake, plan_id, stage=stage, after=after, limit=BATCH)
            last = page[-1].seq if page else None
            return last, plans.as_files_stand(lake, page) if depends and page else page

        while True:
            # Carried through: the lake must not be closed under a thread that reads it.
            last, page = await carried_through(asyncio.to_thread(next_page))
            if last is None:
                return
            after = last
            for operation in page:
                yield operation

    async def _send_stage(self, operations: AsyncIterator[Operation], ticker: asyncio.Task[None]) -> None:
        width = self.session.policy.transfers
        queue: asyncio.Queue[Operation | None] = asyncio.Queue(maxsize=2 * width)

        async def feed() -> None:
            async for operation in operations:
                if operation.seq > self._mark:
                    await self._commit(mark=operation.seq + AHEAD)
                await queue.put(operation)
            for _ in range(width):
                await queue.put(None)

        async def work() -> None:
            while (operation := await queue.get()) is not None:
                await self._handle(operation)

        tasks = [asyncio.create_task(feed()), *(asyncio.create_task(work()) for _ in range(width))]
        waiting: set[asyncio.Task[None]] = {*tasks}
        try:
            while waiting:
                finished, waiting = await asyncio.wait({*waiting, ticker}, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()  # an error of any of them, the ticker's commits included, ends the stage
                waiting.discard(ticker)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- one operation --------------------------------------------------------------------------

    async def _handle(self, operation: Operation) -> None:
        ended = await self._end_of(operation)
        outcome = ended[0].outcome
        self._finished += ended
        self._count += 1
        self.tallies.add(operation.kind.value, operation.path, outcome.status.value, outcome.error_kind, outcome.error)
        if outcome.status is OutcomeStatus.FAILED:
            self._failed += 1
        if len(self._finished) >= BATCH:
            await self._commit()

    async def _end_of(self, operation: Operation) -> list[Done]:
        """What became of an operation after all its tries; first of all its own outcome."""
        attempts = self.session.policy.retry_attempts
        number = 1
        in_doubt = False
        sent: Fingerprint | None = None
        while True:
            attempt = Attempt(number, self.counter, sent=sent)
            try:
                async with self._budget.borrow(_buffered(operation)):
                    outcome = await perform(self.session, operation, attempt)
            except LockLost:
                raise  # Another writer may be at it: no outcome, no further try, no question.
            except CloudSyncError as error:
                in_doubt = in_doubt or attempt.left_in_doubt(error)
                sent = attempt.sent
                wait = delay_before(number + 1, jitter=random.random(), retry_after=error.retry_after)
                if error.retryable and number < attempts and wait <= LONGEST_DELAY:
                    await asyncio.sleep(wait)
                    number += 1
                    continue
                self._count_away(error)
                outcome = failed(self.session, error, number)
                if await never_stood(self.session, operation, outcome):
                    outcome = replace(outcome, gone=True)
            else:
                self._in_a_row = 0
            ended = [Done(operation, outcome)]
            if in_doubt and outcome.status is not OutcomeStatus.DONE:
                known = replace(operation, fingerprint=sent or operation.fingerprint)
                ended = await settle(self.session, known, outcome)
            self._note_change(operation, ended[0].outcome)
            return ended

    def _note_change(self, operation: Operation, outcome: Outcome) -> None:
        """What was planned did not follow from how things are: planned again in this same run."""
        skipped = outcome.status is OutcomeStatus.SKIPPED
        arrived = outcome.status is OutcomeStatus.DONE and operation.kind is OperationKind.MOVE
        parked = is_parking(operation.new_path or "", self.plan.plan_id)
        if skipped or (arrived and not parked and outcome.etag is None):
            self.changed = True

    def _count_away(self, error: CloudSyncError) -> None:
        if not isinstance(error, AWAY):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= GIVE_UP_AFTER:
            raise error

    # --- commits --------------------------------------------------------------------------------

    async def _commit(self, mark: int | None = None, *, close: bool = False) -> None:
        """Record what is finished, move the mark of what may be sent, or close the plan.

        Once begun it is carried to its end, also when this task is cancelled: a batch is never recorded twice.
        """
        async with self._committing:
            batch, self._finished = self._finished, []
            if batch or mark is not None or close:
                await carried_through(self._make_durable(batch, mark, close))

    async def _make_durable(self, batch: list[Done], mark: int | None, close: bool) -> None:
        try:
            if batch:
                await self.session.file_manager.flush()
            await asyncio.to_thread(self._record, batch, mark, close)
        except BaseException:
            self._finished = batch + self._finished
            raise
        if mark is not None:
            self._mark = mark
        self._committed_at = time.monotonic()

    async def _commit_quietly(self) -> None:
        """The last commit of an execution that is ending with an error of its own."""
        try:
            await self._commit()
        except CloudSyncError:
            pass

    def _record(self, batch: list[Done], dispatched_seq: int | None, close: bool) -> None:
        lake, plan_id = self.session.lake, self.plan.plan_id
        if not batch and close:
            plans.close(lake, self.run_id, plan_id, plans.EXECUTED, self.session.clock())
            return
        if not batch and dispatched_seq is not None:
            plans.mark_dispatched(lake, self.run_id, plan_id, dispatched_seq)
            return
        outcomes.record(
            lake,
            self.run_id,
            plan_id,
            batch,
            close=close,
            quarantine_after=self.session.policy.quarantine_after,
            permissions=self.session.file_manager.capabilities.permissions,
            dispatched_seq=dispatched_seq,
            now=self.session.clock(),
        )

    # --- progress -------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._finished and time.monotonic() - self._committed_at >= COMMIT_EVERY:
                await self._commit()
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        self._rates.append((now, self.counter.bytes))
        (then, before), spent = self._rates[0], now - self._began
        rate = (self.counter.bytes - before) / (now - then) if now > then else 0.0
        done = max(
            self._count / self.plan.operations if self.plan.operations else 1.0,
            0.0,
        )
        share = min(done, self.counter.bytes / self._bytes_total) if self._bytes_total else done
        eta = spent * (1 - share) / share if share > 0 else None
        self.session.on_progress(
            Progress(
                integration=self.session.integration,
                operations=self._count,
                operations_total=self.plan.operations,
                bytes=self.counter.bytes,
                bytes_total=self._bytes_total,
                failed=self._failed,
                seconds=spent,
                rate=rate,
                eta=eta,
            )
        )
