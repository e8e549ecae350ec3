"""Where a story happens: which file manager, which feed, which policy, which keys."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.feeds.memory import Delivery
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.memory import EVERYTHING

FILE_MANAGERS = {
    "everything": EVERYTHING,
    "as HTTP promises": FileManagerCapabilities(),
    "new ids": FileManagerCapabilities(atomic_put=True, content_hash=True),
    "a disk": FileManagerCapabilities(
        atomic_put=True, content_hash=True, stable_ids=True, folders_are_files=False, max_name_bytes=100
    ),
    "short names, one case": FileManagerCapabilities(
        atomic_put=True, folders_are_files=False, case_sensitive=False, max_name_bytes=12
    ),
    "cannot move": FileManagerCapabilities(atomic_put=True, content_hash=True, move=False),
    "cannot delete": FileManagerCapabilities(content_hash=True, stable_ids=True, delete=False),
    "blind": FileManagerCapabilities(probe=False, permissions=False, atomic_put=True),
    "blind and half": FileManagerCapabilities(probe=False),
}
"""By what they can do; how many there are of each kind outside is no matter."""

KEYS = ("a", "b", "a/b", "c", "A", "a/b/c", "b/", "//", "x/../y", "e\u0301", "é", "a very long name", "\x01 %2F+")
FEW = 4
"""Keys of one story: few, so that much happens to each."""


@dataclass
class Scene:
    """Where a story happens."""

    manager: str
    delivery: Delivery | None
    policy: Policy
    shuffled: bool
    sequencers: bool
    keys: list[str]

    @classmethod
    def drawn(cls, dice: random.Random) -> Scene:
        guarded = dice.random() < 0.3
        return cls(
            manager=dice.choice(sorted(FILE_MANAGERS)),
            delivery=dice.choice([*Delivery, None]),
            policy=Policy(
                deletes=DeletePolicy.KEEP if dice.random() < 0.15 else DeletePolicy.PROPAGATE,
                retry_attempts=dice.choice([1, 1, 2]),
                quarantine_after=3,
                transfers=3,
                max_delete_ratio=0.5 if guarded else 1.0,
                min_deletes=2 if guarded else 10_000,
            ),
            shuffled=dice.random() < 0.3,
            sequencers=dice.random() < 0.3,
            keys=dice.sample(KEYS, FEW),
        )
