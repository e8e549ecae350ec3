"""Change events as data: what a feed saw, before anybody believed it.

Events arrive at least once and in any order. They are hints: a path they name becomes owed, and what
is true of it is read from the storage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cloudsync_pipeline.core.records import Permissions


class EventType(StrEnum):
    """What a source says happened."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RENAME = "rename"
    MOVE = "move"
    CHANGE_PERMISSION = "change_permission"


@dataclass(frozen=True, slots=True)
class Event:
    """One observed change.

    Attributes:
        identity: equal for every delivery of the same event, different otherwise; what deduplication goes by.
        event_type: what the source says happened.
        key: escaped key it happened to.
        new_key: for rename and move, where it went.
        also: other keys this event may mean, where the source's spelling is ambiguous; all become owed.
        occurred_at: the source's clock, kept for people; never used to discard an event.
        sequencer: orders events of the same key, where the source gives one.
        permissions: for change_permission, what is desired now.
        raw: the event as received, as JSON text.
    """

    identity: str
    event_type: EventType
    key: str
    new_key: str | None = None
    also: tuple[str, ...] = ()
    occurred_at: datetime | None = None
    sequencer: str | None = None
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None
    permissions: Permissions | None = None
    raw: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key whose file this event may have made differ."""
        return tuple(dict.fromkeys(k for k in (self.key, self.new_key, *self.also) if k is not None))


@dataclass(frozen=True, slots=True)
class MalformedEvent:
    """An event that could not be understood: kept with the reason, counted, blocking nothing."""

    identity: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class FeedPage:
    """What one `receive` gave.

    Attributes:
        events, malformed: in the feed's order; either may be empty.
        cursor: opaque; pass it to the next `receive` once this page is committed. None for feeds without.
        receipt: opaque; pass it to `acknowledge` once this page is committed.
        full: the page held as many entries as were asked for, so there may be more, or older ones were lost.
        received: entries in the page before any were filtered out as another integration's.
        others: identities of the entries that are another integration's, so that a page full of them does not
            look like a gap.
        mark: opaque; what a later `peek` compares with, once this page is committed. A feed with a cursor gives none:
            its cursor says as much.
        ignored: of those received, how many change no file of ours by what they say themselves (tests, tags); they
            are counted and stored nowhere.
    """

    events: tuple[Event, ...] = ()
    malformed: tuple[MalformedEvent, ...] = ()
    cursor: str | None = None
    receipt: object = None
    full: bool = False
    received: int = 0
    others: tuple[str, ...] = ()
    ignored: int = 0
    mark: str | None = None


def is_older(sequencer: str, than: str) -> bool:
    """Whether an event came before another one of the same key; between keys the answer means nothing.

    Amazon S3 User Guide, "Event message structure": the shorter sequencer is padded with zeros on its right, and
    then they are compared as text.

    Args:
        sequencer, than: as in `Event.sequencer`, of one source and one spelling.
    """
    length = max(len(sequencer), len(than))
    return sequencer.ljust(length, "0") < than.ljust(length, "0")


def identity_of(entry: Mapping[str, Any]) -> str:
    """An identity for feeds that give none: SHA-256 of the entry's canonical JSON, in hexadecimal."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


PERMISSION_FIELDS = ("new_permissions", "permissions", "permission", "perms", "access")
"""Where event metadata keep the new permissions, the first that is there wins."""
