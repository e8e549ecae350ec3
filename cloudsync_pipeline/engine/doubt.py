"""What became of an operation whose answer nobody knows: asked of the file manager, path by path.

A run was interrupted before it learnt the outcome, or an answer got lost. Whatever may stand at a path without
being known is noted as a file of unknown content, so that it is replaced or deleted and never forgotten.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

from cloudsync_pipeline.core.errors import BadAnswer, CapabilityMissing, NotFound, PathRejected, Rejected, RemoteError
from cloudsync_pipeline.core.ordering import is_parking
from cloudsync_pipeline.core.records import FileState, Operation, OperationKind, Outcome, OutcomeStatus
from cloudsync_pipeline.core.retry import LONGEST_DELAY, delay_before
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.transfer import is_other_content
from cloudsync_pipeline.lake.outcomes import Done

_OF_THIS_PATH = (Rejected, BadAnswer, CapabilityMissing)
"""Errors that will be the same next time: waiting for a better answer would stop the integration for one path."""


@dataclass(frozen=True, slots=True)
class Look:
    """What stands at a path; `told` is False where the file manager would not say, and anything may stand there."""

    file: FileState | None
    told: bool = True

    @property
    def nothing(self) -> bool:
        return self.told and self.file is None


async def settle(
    session: Session, operation: Operation, otherwise: Outcome, *, must_know: bool = False, adopt: bool = True
) -> list[Done]:
    """The operation as done, if it turns out to be; else with the outcome `otherwise` and what was found.

    Args:
        must_know: a file manager that is away is an error; else what it does not say counts as unknown.
        adopt: content that is there may count as that of the object; False where the storage is another by now.

    Raises:
        RemoteError: only if `must_know`: it cannot be asked now.
    """
    match operation.kind:
        case OperationKind.CREATE | OperationKind.UPDATE:
            return [Done(operation, await _settle_content(session, operation, otherwise, must_know, adopt))]
        case OperationKind.MOVE:
            return await _settle_move(session, operation, otherwise, must_know, adopt)
        case OperationKind.DELETE:
            return await _settle_delete(session, operation, otherwise, must_know)
        case _:
            return [Done(operation, otherwise)]


async def _settle_content(
    session: Session, operation: Operation, otherwise: Outcome, must_know: bool, adopt: bool
) -> Outcome:
    look = await _look(session, operation.path, must_know)
    if look.nothing:
        return replace(otherwise, gone=True)
    if look.file is not None and adopt and _holds(look.file, operation):
        return replace(_done(otherwise, look.file), etag=operation.etag, version_id=operation.version_id)
    return replace(otherwise, file=look.file or FileState(operation.path))


async def _settle_delete(session: Session, operation: Operation, otherwise: Outcome, must_know: bool) -> list[Done]:
    look = await _look(session, operation.path, must_know)
    if look.nothing:
        return [Done(operation, replace(_done(otherwise, None), gone=True))]
    if look.told:
        return [Done(operation, otherwise)]
    return [Done(operation, otherwise), _noted(operation, operation.path, "source", otherwise, look)]


async def _settle_move(
    session: Session, operation: Operation, otherwise: Outcome, must_know: bool, adopt: bool
) -> list[Done]:
    new_path = operation.new_path or operation.path
    old = await _look(session, operation.path, must_know)
    new = await _look(session, new_path, must_know)
    if old.told and old.file is not None:
        return [Done(operation, otherwise)]
    if old.nothing and new.file is not None and _is_moved(session, new.file, operation):
        known = adopt and not is_parking(new_path, operation.plan_id) and not is_other_content(new.file, operation)
        etag, version_id = (operation.etag, operation.version_id) if known else (None, None)
        return [Done(operation, replace(_done(otherwise, new.file), etag=etag, version_id=version_id))]
    ended = Done(operation, replace(otherwise, gone=old.nothing))
    settled = [ended, _noted(operation, new_path, "target", otherwise, new)]
    if not old.told:
        settled.append(_noted(operation, operation.path, "source", otherwise, old))
    return settled


def _is_moved(session: Session, there: FileState, operation: Operation) -> bool:
    same_id = operation.internal_id is not None and there.internal_id == operation.internal_id
    return (same_id and session.file_manager.capabilities.stable_ids) or _holds(there, operation)


def _holds(there: FileState, operation: Operation) -> bool:
    return operation.fingerprint is not None and there.fingerprint == operation.fingerprint


def _noted(operation: Operation, path: str, role: str, otherwise: Outcome, look: Look) -> Done:
    """What was found at one of the paths, as an outcome of its own."""
    found = replace(operation, op_id=f"{operation.op_id}-{role}", kind=OperationKind.UPDATE, path=path, new_path=None)
    if look.nothing:
        return Done(found, replace(otherwise, gone=True))
    return Done(found, replace(otherwise, file=look.file or FileState(path)))


def _done(otherwise: Outcome, file: FileState | None) -> Outcome:
    return Outcome(OutcomeStatus.DONE, otherwise.at, file=file, seconds=otherwise.seconds, attempts=otherwise.attempts)


async def _look(session: Session, path: str, must_know: bool) -> Look:
    if not session.file_manager.capabilities.probe:
        return Look(None, told=False)
    attempt = 1
    while True:
        try:
            return Look(await session.file_manager.get(path))
        except NotFound:
            return Look(None)
        except PathRejected:
            # It may hold what it will not speak of: an operation is in doubt only where it did not refuse the path.
            return Look(None, told=False)
        except RemoteError as error:
            wait = delay_before(attempt + 1, jitter=random.random(), retry_after=error.retry_after)
            if not must_know:
                return Look(None, told=False)
            if not error.retryable or attempt >= session.policy.retry_attempts or wait > LONGEST_DELAY:
                if isinstance(error, _OF_THIS_PATH):
                    return Look(None, told=False)
                raise
        await asyncio.sleep(wait)
        attempt += 1
