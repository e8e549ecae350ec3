"""What a list without a cursor looked like when it was last read, in a line of text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

from cloudsync_pipeline.feeds.entries import Parsed

_LENGTH = 8
"""Characters of an identity that are kept: enough to recognise one list by any of its entries."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A page of a list that repeats itself.

    Attributes:
        ours: a digest of the entries that are the integration's.
        entries: the beginnings of all entries' identities, other integrations' included.
    """

    ours: str
    entries: frozenset[str]

    @classmethod
    def of(cls, page: Parsed) -> Self:
        """The mark of a page."""
        ours = [*(event.identity for event in page.events), *(one.identity for one in page.malformed)]
        digest = hashlib.sha256("\n".join(sorted(ours)).encode()).hexdigest()
        return cls(digest, frozenset(identity[:_LENGTH] for identity in (*ours, *page.others)))

    def text(self) -> str:
        """For `is_news_since` of a later page's mark."""
        return ":".join((self.ours, *sorted(self.entries)))

    def is_news_since(self, text: str, *, full: bool) -> bool:
        """Whether this page holds anything of ours that the earlier one did not, or something may lie between them.

        Args:
            text: of the earlier page.
            full: there may be more entries than this page holds.
        """
        ours, *entries = text.split(":")
        lost = full and self.entries.isdisjoint(entries)
        return lost or self.ours != ours
