"""Every error this project raises on purpose, as one tree.

Adapters translate foreign errors into these at their edge (`raise ... from`), most specific first.
Whether trying again can help is a property of the error, never of the place that caught it.
"""

from __future__ import annotations

from typing import ClassVar


class CloudSyncError(Exception):
    """Something a person may have to act on.

    Args:
        message: what happened, in one sentence, without secrets.
        integration: the integration it happened to, if known here.
        key: the object key or file path it happened to, if it concerns one.
        remedy: what to do next, in one sentence.
        retry_after: seconds the other side asked us to wait, if it did.
    """

    retryable: ClassVar[bool] = False
    """True where the same call may succeed later without anybody changing anything."""

    def __init__(
        self,
        message: str,
        *,
        integration: str | None = None,
        key: str | None = None,
        remedy: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.integration = integration
        self.key = key
        self.remedy = remedy
        self.retry_after = retry_after

    def __str__(self) -> str:
        where = f"{self.integration}: " if self.integration else ""
        what = f" ({self.key!r})" if self.key is not None and repr(self.key) not in self.message else ""
        then = f" {self.remedy}" if self.remedy else ""
        return f"{where}{self.message}{what}{then}"


# --- what a person configured -------------------------------------------------------------------


class ConfigError(CloudSyncError):
    """The configuration cannot be used as it stands."""


class IdentityChanged(ConfigError):
    """An integration now points at another storage or destination than its lake remembers."""


class CapabilityMissing(CloudSyncError):
    """An operation was asked of an adapter that does not declare it."""


# --- the other side: storages, feeds, file managers ---------------------------------------------


class RemoteError(CloudSyncError):
    """A storage, feed or file manager did not do what was asked."""


class NotFound(RemoteError):
    """The object or file does not exist: a 404 or a delete marker, never a doubt."""


class ContainerNotFound(RemoteError):
    """The bucket, container or root folder itself does not exist."""


class AccessDenied(RemoteError):
    """The credentials are missing, wrong, expired, or lack a permission."""


class PreconditionFailed(RemoteError):
    """The object is no longer the version that was asked for (HTTP 412)."""


class Rejected(RemoteError):
    """The other side understood the request and refuses it; the same request will be refused again."""


class PathRejected(Rejected):
    """The file manager cannot hold this path (escape, too long, clash): the path is quarantined."""


class Unreachable(RemoteError):
    """No connection, or it broke, or it timed out."""

    retryable = True


class TlsFailed(Unreachable):
    """No trusted TLS connection: a certificate or the handshake was refused, and will be again."""

    retryable = False


class Unavailable(RemoteError):
    """The other side answered that it cannot serve now (HTTP 5xx)."""

    retryable = True


class Throttled(Unavailable):
    """The other side asks for fewer requests (HTTP 429, 503 SlowDown); see `retry_after`."""


class BadAnswer(RemoteError):
    """The answer is not what the protocol promises: garbage, truncated, or contradicting the request."""

    retryable = True


class ContentMismatch(RemoteError):
    """Bytes read or stored differ in size or hash from what was declared."""

    retryable = True


class IncompleteListing(RemoteError):
    """A listing broke off: nothing may be concluded from what is missing in it."""

    retryable = True


class StorageFull(RemoteError):
    """The destination, or the disk under the state, has no room left."""

    retryable = True


# --- state --------------------------------------------------------------------------------------


class StateError(CloudSyncError):
    """A lake or the control database cannot be used."""


class LockHeld(StateError):
    """Another writer holds the integration; the message names it."""

    retryable = True


class LockLost(StateError):
    """This writer's lock was taken over: it must stop writing at once."""


class SchemaTooNew(StateError):
    """The lake was written by a newer release."""


class SnapshotGone(StateError):
    """The snapshot or time asked for has expired, or never existed."""


class CommitFailed(StateError):
    """A commit did not go through after its retries; nothing more may be sent."""

    retryable = True


class PlanStale(StateError):
    """The stored plan no longer follows from the state: make a new one."""


class DeleteNotApproved(CloudSyncError):
    """The delete guard holds this delete until somebody approves it."""


class Paused(CloudSyncError):
    """The integration is paused or removed; resume it, or add it again, first."""
