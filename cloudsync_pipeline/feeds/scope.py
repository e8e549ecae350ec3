"""Whose files a notification is about, and what is said of one that names none of ours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from cloudsync_pipeline.core.keys import escape


class NotUnderstood(Exception):
    """Why a notification is malformed, in words for a person."""


class Skipped(Enum):
    """Why a notification that was understood gives no event."""

    NO_CHANGE = auto()
    """Neither content nor existence of an object changed; or of none of ours, in a queue that is ours alone."""
    ELSEWHERE = auto()
    """It is about files of others, who read the same queue and have to find it there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """An integration's part of what a source announces.

    Attributes:
        bucket: the one that our objects are in; None where the storage has no buckets, so that none can be wrong.
        prefix: the folder that hides from our keys, as the storage spells it, with a slash at its end; "" for all.
        path_prefix: what paths in entries of the HTTP API's shape begin with, see `feeds.entries.parse`.
        shared: others read the same queue: what is not ours stays there for them. Otherwise a key outside of the
            prefix is passed over, and another bucket is a mistake in somebody's setup, to be shown.
    """

    bucket: str | None = None
    prefix: str = ""
    path_prefix: str | None = None
    shared: bool = False

    def key_of(self, bucket: str, key: str | bytes) -> str | Skipped:
        """The escaped key within our prefix, or why there is none.

        Args:
            bucket: as the notification names it.
            key: decoded as far as its envelope encodes it.

        Raises:
            NotUnderstood: it is about another bucket, in a queue of our own; or no key can be spelt like that.
        """
        if self.bucket is not None and bucket != self.bucket:
            if self.shared:
                return Skipped.ELSEWHERE
            raise NotUnderstood(f"it is about bucket {bucket!r:.70}, not about {self.bucket!r}")
        text = key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key
        try:
            escaped = escape(text)
        except ValueError as error:
            raise NotUnderstood("its key holds a character that stands for no byte") from error
        root = escape(self.prefix)
        if not escaped.startswith(root):
            return self.outside
        # The "folder" that a browser makes has no name below itself; storages leave it out as well.
        return escaped.removeprefix(root) or Skipped.NO_CHANGE

    @property
    def outside(self) -> Skipped:
        """What is said of a key that is none of ours, in our bucket."""
        return Skipped.ELSEWHERE if self.shared else Skipped.NO_CHANGE
