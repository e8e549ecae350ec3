"""Content on its way: read from the storage, checked, and only then finished at the file manager."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CapabilityMissing,
    CloudSyncError,
    ContentMismatch,
    NotFound,
    PreconditionFailed,
    Rejected,
    Throttled,
    TlsFailed,
)
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import FileState, Operation, Piece, StorageObject
from cloudsync_pipeline.engine.digest import Digest
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.storage.base import ObjectBody

_HASHES = {"md5", "sha1", "sha256"}


class SourceChanged(CloudSyncError):
    """The object is not what was planned any more: not a failure, its key is looked at and planned again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one transfer stored: the confirmed file, and the version of the object whose bytes it holds."""

    file: FileState
    source: StorageObject


@dataclass(slots=True)
class Counter:
    """Bytes of content that travelled, for the progress of a whole execution."""

    bytes: int = 0


@dataclass(slots=True)
class Attempt:
    """One try of one operation, and how far it came.

    Attributes:
        number: 1 for the first; a later one may find its predecessor's work done.
        counter: told of bytes that travel.
        reached: the file manager was asked to change something.
        half: a part of the content may stand at the path.
        sent: of the content that was sent whole, by this try or one before; the answer may have got lost.
    """

    number: int
    counter: Counter
    reached: bool = False
    half: bool = False
    sent: Fingerprint | None = None

    def left_in_doubt(self, error: CloudSyncError) -> bool:
        """Whether something may have been done at the file manager although it ended with this error."""
        return self.half or (self.reached and not isinstance(error, REFUSALS))


REFUSALS = (Rejected, AccessDenied, NotFound, CapabilityMissing, Throttled, TlsFailed)
"""Answers that say that nothing was done."""


async def send(session: Session, operation: Operation, *, replacing: bool, attempt: Attempt) -> Sent:
    """Store the object's content as the operation's file.

    Raises:
        SourceChanged: the object is gone or another version.
        ContentMismatch: what was read, or what the file manager says it stored, is not the object's content.
        CloudSyncError: whatever else storage or file manager raised.
    """
    path = operation.new_path or operation.path
    conditional = session.storage.capabilities.conditional_read
    reading = session.storage.read(path, if_match=operation.etag if conditional else None)
    try:
        body = await reading.__aenter__()
    except (NotFound, PreconditionFailed) as error:
        raise SourceChanged(f"The object changed since it was planned: {error.message}", key=path) from error
    try:
        if body.object.etag != operation.etag:
            raise SourceChanged("The object changed since it was planned.", key=path)
        store = _store_stream if body.content is None else _store_content
        acknowledged, sent = await store(session, path, body, replacing, attempt)
    except BaseException as error:
        await reading.__aexit__(type(error), error, error.__traceback__)
        raise
    await reading.__aexit__(None, None, None)
    return Sent(confirmed(path, acknowledged, sent), body.object)


async def _store_stream(
    session: Session, path: str, body: ObjectBody, replacing: bool, attempt: Attempt
) -> tuple[FileState, Fingerprint]:
    checked = Checked(body, path, attempt.counter)
    upload = Upload(
        size=body.object.size,
        chunks=checked.chunks(),
        replace=replacing,
        content_type=body.object.content_type,
        md5=(lambda: checked.fingerprint.value) if checked.kind == "md5" else None,
    )
    attempt.reached = True
    try:
        acknowledged = await session.file_manager.put(path, upload)
    except CloudSyncError:
        whole = session.file_manager.capabilities.atomic_put
        attempt.half = checked.begun and not whole
        attempt.reached = not (checked.broke and whole)
        raise
    finally:
        attempt.sent = checked.read or attempt.sent
    return acknowledged, checked.fingerprint


async def _store_content(
    session: Session, path: str, body: ObjectBody, replacing: bool, attempt: Attempt
) -> tuple[FileState, Fingerprint]:
    """The same for what is in memory already: it is verified before the file manager hears of it."""
    content = body.content or b""
    attempt.counter.bytes += len(content)
    kind = _kind(body.object)
    digest = hashlib.new(kind, content, usedforsecurity=False).hexdigest()
    sent = _verified(body.object, path, Fingerprint(kind, digest, len(content)))
    upload = Upload(
        size=len(content),
        chunks=_once(content),
        replace=replacing,
        content_type=body.object.content_type,
        md5=(lambda: sent.value) if sent.kind == "md5" else None,
        content=content,
    )
    attempt.reached = True
    attempt.sent = sent
    try:
        return await session.file_manager.put(path, upload), sent
    except CloudSyncError:
        attempt.half = not session.file_manager.capabilities.atomic_put
        raise


async def _once(content: bytes) -> AsyncIterator[Piece]:
    if content:
        yield content


def _kind(source: StorageObject) -> str:
    """Of the digest that is computed: the one that the storage vouches for, else MD5."""
    vouched = source.fingerprint
    return vouched.kind if vouched and vouched.kind in _HASHES else "md5"


def _verified(source: StorageObject, path: str, read: Fingerprint) -> Fingerprint:
    """The fingerprint of what was read, if that is the object's content; raises ContentMismatch otherwise."""
    if read.size != source.size:
        raise ContentMismatch(f"{read.size} bytes were read of an object of {source.size}.", key=path)
    vouched = source.fingerprint
    if vouched is not None and vouched.kind == read.kind and vouched.value != read.value:
        raise ContentMismatch(f"The bytes read have another {read.kind} than the storage vouches for.", key=path)
    return read


def confirmed(path: str, told: FileState, sent: Fingerprint) -> FileState:
    """The file as acknowledged, once that agrees with what was sent.

    Raises:
        ContentMismatch: it stored something else.
        BadAnswer: it answered for another path.
    """
    if told.path != path:
        raise BadAnswer(f"The file manager answered for {told.path!r}.", key=path)
    if told.size is not None and told.size != sent.size:
        raise ContentMismatch(f"{sent.size} bytes were sent and {told.size} stored.", key=path)
    if told.fingerprint and told.fingerprint.kind == sent.kind and told.fingerprint != sent:
        raise ContentMismatch(f"The stored content has another {sent.kind} than what was sent.", key=path)
    return replace(told, size=sent.size, fingerprint=sent)


def is_other_content(told: FileState, operation: Operation) -> bool:
    """Whether a file, as the file manager describes it, is not what the operation is about."""
    wanted, there = operation.fingerprint, told.fingerprint
    if wanted is None:
        return False
    if there is not None and there.kind == wanted.kind:
        return there != wanted
    return told.size is not None and told.size != wanted.size


@dataclass(slots=True)
class Checked:
    """A body that gives its last chunk only after size and hash of all of it were found right.

    Attributes:
        begun: some of it was given away.
        broke: it ended with an error in place of its last chunk.
        read: the fingerprint of all of it, once it was found right.
    """

    body: ObjectBody
    path: str
    counter: Counter
    begun: bool = False
    broke: bool = False
    read: Fingerprint | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """Of what was read; there once `chunks` has ended.

        Raises:
            BadAnswer: the file manager acknowledged before it had taken everything.
        """
        if self.read is None:
            raise BadAnswer("The file manager acknowledged before it was sent everything.", key=self.path)
        return self.read

    @property
    def kind(self) -> str:
        """Of the digest that is computed."""
        return _kind(self.body.object)

    async def chunks(self) -> AsyncIterator[Piece]:
        """The content in order.

        Raises:
            ContentMismatch: in place of the last chunk.
            SourceChanged: the object became another one meanwhile.
        """
        try:
            async for chunk in self._verified():
                self.begun = True
                yield chunk
        except PreconditionFailed as error:
            # A part that was asked for later is of another version by now.
            self.broke = True
            raise SourceChanged(f"The object changed while it was read: {error.message}", key=self.path) from error
        except CloudSyncError:
            self.broke = True
            raise

    async def _verified(self) -> AsyncIterator[Piece]:
        digest = Digest(self.kind)
        size = 0
        kept: Piece | None = None
        async for chunk in self.body.chunks():
            await digest.add(chunk)
            size += len(chunk)
            self.counter.bytes += len(chunk)
            if kept is not None:
                yield kept
            kept = chunk
        read = Fingerprint(self.kind, await digest.hexdigest(), size)
        self.read = _verified(self.body.object, self.path, read)
        if kept is not None:
            yield kept
