"""The file manager held against what is known of it: all of it, or a sample."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudsync_pipeline.core.errors import CapabilityMissing, NotFound
from cloudsync_pipeline.core.records import FileState
from cloudsync_pipeline.engine.concurrency import map_bounded
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import verifying
from cloudsync_pipeline.lake.verifying import Answers, Difference

BATCH = 1000


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What was found.

    Attributes:
        looked_at: paths that the file manager told about.
        whole: all of it was compared, strays included; else a sample, or path by path.
        by_kind: differences: "missing", "content", "permissions", "stray".
        examples: up to 20 of them.
        owed: paths that are owed because of it; 0 where nothing was to be repaired.
    """

    looked_at: int
    whole: bool
    by_kind: Mapping[str, int]
    examples: tuple[Difference, ...]
    owed: int
    seconds: float

    @property
    def differences(self) -> int:
        return sum(self.by_kind.values())


async def verify(session: Session, *, run_id: str, sample: int | None = None, repair: bool = False) -> VerifyResult:
    """Compare the file manager with the state.

    Where the file manager can list, everything is compared in one listing; else it is asked path by path.

    Args:
        sample: so many files at random, asked one by one; None for all.
        repair: owe what differs, so that the next sync makes it good. Strays are reported and left alone.

    Raises:
        CapabilityMissing: the file manager can neither list nor be asked about a path.
        CloudSyncError: the file manager stopped answering; nothing was concluded.
    """
    began = time.monotonic()
    capabilities = session.file_manager.capabilities
    if not capabilities.list and not capabilities.probe:
        raise CapabilityMissing(
            "The file manager cannot be asked what it holds.",
            integration=session.integration,
            remedy="Declare `list` or `probe` among its capabilities if it can.",
        )
    whole = sample is None and capabilities.list
    answers = Answers(session.lake.folder / "tmp")
    try:
        if whole:
            await listed(session, answers)
        else:
            await _asked(session, answers, sample)
        answers.complete()
        compared = verifying.compare(session.lake, answers, whole=whole)
        owed = 0
        if repair and any(kind != "stray" for kind in compared.by_kind):
            owed = verifying.owe(session.lake, run_id, answers, whole=whole, now=session.clock())
    finally:
        answers.close()
    return VerifyResult(
        looked_at=answers.count,
        whole=whole,
        by_kind=compared.by_kind,
        examples=compared.examples,
        owed=owed,
        seconds=time.monotonic() - began,
    )


async def listed(session: Session, answers: Answers) -> None:
    """Add everything that the file manager lists."""
    batch: list[tuple[str, FileState | None]] = []
    async for state in session.file_manager.list():
        batch.append((state.path, state))
        if len(batch) >= BATCH:
            answers.add(batch)
            batch = []
    if batch:
        answers.add(batch)


async def _asked(session: Session, answers: Answers, sample: int | None) -> None:
    after: str | None = None
    left = sample
    while left is None or left > 0:
        count = BATCH if left is None else min(BATCH, left)
        if sample is None:
            paths = verifying.paths(session.lake, after=after, limit=count)
        else:
            paths = verifying.some_paths(session.lake, sample)
            left = 0
        if not paths:
            return
        after = paths[-1]
        await ask(session, answers, paths)


async def ask(session: Session, answers: Answers, paths: Sequence[str]) -> None:
    """Add what the file manager says of these paths, asked one by one."""
    states = await map_bounded(paths, lambda path: _get(session, path), limit=session.policy.transfers)
    answers.add(list(zip(paths, states, strict=True)))


async def _get(session: Session, path: str) -> FileState | None:
    try:
        return await session.file_manager.get(path)
    except NotFound:
        return None
