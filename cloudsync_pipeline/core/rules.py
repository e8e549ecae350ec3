"""An integration's policy: the choices that a person makes and the engine obeys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LEASE = 60.0
"""Seconds from the last heartbeat of an integration's writer until another may take over."""


class DeletePolicy(StrEnum):
    """What becomes of a file whose object has vanished."""

    PROPAGATE = "propagate"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Policy:
    """See the configuration keys of the same names.

    Attributes:
        deletes: what a vanished object means for its file.
        max_delete_ratio: deletes within 24 h above this part of the files are held (0 to 1).
        min_deletes: below this number of deletes the ratio is not looked at.
        transfers: operations in flight at once.
        max_bytes_in_flight: bytes of content buffered at once, over all transfers.
        retry_attempts: tries of one operation within a run.
        quarantine_after: a path that failed in so many runs is quarantined.
        read_permissions: learn the permissions of files that were created.
        events_per_run: most events one incremental sync takes from its feed.
    """

    deletes: DeletePolicy = DeletePolicy.PROPAGATE
    max_delete_ratio: float = 0.5
    min_deletes: int = 20
    transfers: int = 16
    max_bytes_in_flight: int = 64 * 1024 * 1024
    retry_attempts: int = 3
    quarantine_after: int = 5
    read_permissions: bool = True
    events_per_run: int = 10_000
