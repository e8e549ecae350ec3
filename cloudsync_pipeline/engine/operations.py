"""One operation of each kind: what is asked first, what is sent, what counts as done."""

from __future__ import annotations

import time
from dataclasses import replace

from cloudsync_pipeline.core.errors import (
    BadAnswer,
    CloudSyncError,
    DeleteNotApproved,
    NotFound,
    PathRejected,
    RemoteError,
)
from cloudsync_pipeline.core.ordering import is_parking
from cloudsync_pipeline.core.records import (
    FileState,
    Operation,
    OperationKind,
    Outcome,
    OutcomeStatus,
    Permissions,
    StorageObject,
)
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.transfer import Attempt, SourceChanged, is_other_content, send


async def perform(session: Session, operation: Operation, attempt: Attempt) -> Outcome:
    """Do one operation once; `attempt` tells afterwards how far it came.

    Raises:
        SourceChanged: the storage is not as planned: nothing was sent, the key has to be looked at again.
        CloudSyncError: it was not done, or nobody knows whether it was.
    """
    if operation.held:
        raise DeleteNotApproved("The delete guard holds this delete.", key=operation.path)
    began = time.monotonic()
    match operation.kind:
        case OperationKind.CREATE | OperationKind.UPDATE:
            outcome = await _store(session, operation, attempt)
        case OperationKind.MOVE:
            outcome = await _move(session, operation, attempt)
        case OperationKind.DELETE:
            outcome = await _delete(session, operation, attempt)
        case OperationKind.SET_PERMISSIONS | OperationKind.READ_PERMISSIONS:
            outcome = await _permissions(session, operation)
    return replace(outcome, seconds=time.monotonic() - began, attempts=attempt.number)


def failed(session: Session, error: CloudSyncError, attempt: int) -> Outcome:
    """The outcome of an operation that ended with an error."""
    status = OutcomeStatus.QUARANTINED if isinstance(error, PathRejected) else OutcomeStatus.FAILED
    if isinstance(error, SourceChanged):
        status = OutcomeStatus.SKIPPED
    return Outcome(
        status=status,
        at=session.clock(),
        attempts=attempt,
        error=str(error),
        error_kind=type(error).__name__,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )


async def _store(session: Session, operation: Operation, attempt: Attempt) -> Outcome:
    replacing = operation.kind is OperationKind.UPDATE
    if attempt.number > 1 and session.file_manager.capabilities.probe:
        # The attempt before may have stored it and lost only the answer: a second create could double it.
        try:
            there = await session.file_manager.get(operation.path)
        except (NotFound, PathRejected):
            replacing = False
        else:
            replacing = True
            # What was sent is known even of a storage that tells no hash.
            wanted = attempt.sent or operation.fingerprint
            if wanted is not None and there.fingerprint == wanted:
                return Outcome(
                    status=OutcomeStatus.DONE,
                    at=session.clock(),
                    file=there,
                    etag=operation.etag,
                    version_id=operation.version_id,
                )
    try:
        sent = await send(session, operation, replacing=replacing, attempt=attempt)
    except NotFound:
        if not replacing:
            raise
        # Somebody removed the file at the other end: it is new there.
        sent = await send(session, operation, replacing=False, attempt=attempt)
    return Outcome(
        status=OutcomeStatus.DONE,
        at=session.clock(),
        file=sent.file,
        etag=sent.source.etag,
        version_id=sent.source.version_id,
        bytes_sent=sent.source.size,
    )


async def _move(session: Session, operation: Operation, attempt: Attempt) -> Outcome:
    new_path = operation.new_path
    if new_path is None:
        raise BadAnswer("A stored move has no new path.", key=operation.path)
    etag = version_id = None
    await _require_content_left(session, operation)
    if not is_parking(new_path, operation.plan_id):
        target = await _head(session, new_path)
        if target is None or target.etag != operation.etag or target.fingerprint != operation.fingerprint:
            raise SourceChanged(f"The object {new_path!r} is not what the file {operation.path!r} holds.", key=new_path)
        etag, version_id = target.etag, target.version_id
    attempt.reached = True
    try:
        told = await session.file_manager.move(operation.path, new_path)
    except NotFound:
        moved = await _already_moved(session, operation, new_path) if attempt.number > 1 else None
        if moved is None:
            return Outcome(
                status=OutcomeStatus.SKIPPED,
                at=session.clock(),
                gone=True,
                error="The file to be moved is not there any more; its content is sent instead.",
                error_kind=SourceChanged.__name__,
            )
        told = moved
    if told.path != new_path:
        raise BadAnswer(f"The file manager answered for {told.path!r}.", key=new_path)
    if is_other_content(told, operation):
        # Somebody changed the file at the other end: it came along, and is not what the object holds.
        etag = version_id = None
    return Outcome(status=OutcomeStatus.DONE, at=session.clock(), file=told, etag=etag, version_id=version_id)


async def _require_content_left(session: Session, operation: Operation) -> None:
    """The file leaves its path: the object there must be gone, or hold other content by now."""
    there = await _head(session, operation.path)
    if there is not None and there.fingerprint == operation.fingerprint:
        raise SourceChanged("The object is still there, so its file stays.", key=operation.path)


async def _already_moved(session: Session, operation: Operation, new_path: str) -> FileState | None:
    if not session.file_manager.capabilities.probe:
        return None
    try:
        there = await session.file_manager.get(new_path)
    except (NotFound, PathRejected):
        return None
    same_id = operation.internal_id is not None and there.internal_id == operation.internal_id
    same_content = operation.fingerprint is not None and there.fingerprint == operation.fingerprint
    return there if same_id or same_content else None


async def _delete(session: Session, operation: Operation, attempt: Attempt) -> Outcome:
    if await _head(session, operation.path) is not None:
        raise SourceChanged("The object is there again, so its file stays.", key=operation.path)
    attempt.reached = True
    try:
        await session.file_manager.delete(operation.path)
    except NotFound:
        return Outcome(status=OutcomeStatus.DONE, at=session.clock(), gone=True)
    except PathRejected:
        # A file that it says it cannot hold was never there, unless it once acknowledged it.
        if operation.internal_id is not None and await _stands(session, operation.path):
            raise
        return Outcome(status=OutcomeStatus.DONE, at=session.clock(), gone=True)
    return Outcome(status=OutcomeStatus.DONE, at=session.clock())


async def never_stood(session: Session, operation: Operation, outcome: Outcome) -> bool:
    """Whether a file that nobody was sure of cannot be there: its path is refused when it is sent, and when it is asked
    for as well.
    """
    unsure = operation.kind is OperationKind.UPDATE and operation.internal_id is None
    if outcome.status is not OutcomeStatus.QUARANTINED or not unsure:
        return False
    try:
        return not await _stands(session, operation.path)
    except RemoteError:
        return False  # It stays unsure.


async def _stands(session: Session, path: str) -> bool:
    if not session.file_manager.capabilities.probe:
        return True
    try:
        await session.file_manager.get(path)
    except (NotFound, PathRejected):
        return False
    return True


async def _permissions(session: Session, operation: Operation) -> Outcome:
    desired = operation.permissions
    try:
        if operation.kind is OperationKind.READ_PERMISSIONS or desired is None:
            now = await session.file_manager.read_permissions(operation.path)
        else:
            now = await session.file_manager.set_permissions(operation.path, desired)
            _require_set(operation.path, desired, now)
    except NotFound as error:
        return replace(failed(session, error, 1), gone=True)
    return Outcome(status=OutcomeStatus.DONE, at=session.clock(), file=FileState(operation.path, permissions=now))


def _require_set(path: str, desired: Permissions, now: Permissions) -> None:
    for name in ("permissions", "owner", "group"):
        wanted, is_now = getattr(desired, name), getattr(now, name)
        if wanted is not None and is_now is not None and wanted != is_now:
            raise BadAnswer(f"The {name} were set to {wanted!r} and are {is_now!r}.", key=path)


async def _head(session: Session, key: str) -> StorageObject | None:
    try:
        return await session.storage.head(key)
    except NotFound:
        return None
