"""Deletes an integration's files from the file manager, when somebody removes it together with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from cloudsync_pipeline.core.errors import NotFound
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.engine.execute import Tallies
from cloudsync_pipeline.engine.recover import recover
from cloudsync_pipeline.engine.results import Failure
from cloudsync_pipeline.engine.sender import Sender
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake.removal import plan_removal
from cloudsync_pipeline.lake.restored import require_verified
from cloudsync_pipeline.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of the files.

    Attributes:
        deleted: files.
        failed: files that are still there; called again, those alone are tried.
        failures: some of them, with the reason.
    """

    deleted: int
    failed: int
    failures: Sequence[Failure]


async def delete_files(session: Session, *, run_id: str) -> Removed:
    """Delete every file that this integration has stored, and nothing else below its destination.

    It is a plan like any other: committed before it is sent, and taken up again after a crash. What is deleted
    is owed from then on, so that an integration that is added again gets its files back.

    Raises:
        CapabilityMissing: the file manager cannot delete.
        StateError: the lake was restored, and not held against the file manager yet.
        CommitFailed, StorageFull: outcomes cannot be recorded, so nothing more was deleted.
        CloudSyncError: the file manager stopped answering; what was done is recorded.
    """
    require_verified(session.lake)
    await recover(session, run_id=run_id)
    plan = plan_removal(session.lake, run_id, session.clock())
    tally = Tallies()
    if plan is not None:
        # A delete asks first whether its object is there again. Here that is no reason to keep the file.
        await Sender(replace(session, storage=cast("Storage", _AsIfEmpty())), run_id, plan, tally).run()
    return Removed(
        deleted=sum(tally.by_status["done"].values()),
        failed=sum(sum(tally.by_status[status].values()) for status in ("failed", "skipped", "quarantined")),
        failures=tuple(tally.failures),
    )


class _AsIfEmpty:
    """The storage as a removal sees it: it wants nothing."""

    async def head(self, key: str) -> StorageObject:
        raise NotFound("The integration is being removed.", key=key)
