"""What must hold at each commit of a story and after each of its syncs."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.feeds.memory import Delivery
from cloudsync_pipeline.lake import plans, runs

if TYPE_CHECKING:
    from cloudsync_tests.reliability.harsh_world import HarshWorld

UNOWED = """
    SELECT coalesce(o.key, f.path) AS path FROM objects o FULL JOIN files f ON f.path = o.key
    WHERE NOT coalesce(f.size = o.size AND f.source_etag = o.etag, false)
      AND coalesce(o.key, f.path) NOT IN (SELECT path FROM owed WHERE aspect = 'content')
      AND NOT (? AND o.key IS NULL)
"""
"""Paths that differ and are not owed; with the parameter true, files whose object is gone may stay."""


class Promises:
    """The invariants, held against a world. What breaks within a commit is kept for the end of the sync."""

    def __init__(self, world: HarshWorld) -> None:
        self._world = world
        self._broken: list[str] = []
        self._scanned = False
        self._objects: set[str] = set()
        self._absent_at: dict[str, int] = {}
        self._tick = 0
        self._merges = [0, 0]
        self._acknowledged = 0
        self._stored: set[str] = set()
        self._wishes: dict[str, tuple[str, datetime]] = {}

    @property
    def keeps(self) -> bool:
        """Files whose object is gone stay."""
        return self._world.policy.deletes is DeletePolicy.KEEP or not self._world.capabilities.delete

    def absent(self, key: str) -> None:
        """The key has vanished from the bucket."""
        self._absent_at[key] = self._tick

    def at_commit(self, step: str) -> None:
        """Each snapshot: what differs is owed, an object leaves only that was away, an acknowledged event is stored."""
        self._tick += 1
        if step == "identity":
            # Another storage: nothing is known of it, and its first scan is yet to come.
            self._scanned, self._objects = False, set()
        lake = self._world.lake
        self._scanned = self._scanned or runs.get_meta(lake, "scanned_at") is not None
        if self._scanned:
            unowed = lake.read(UNOWED, [self.keeps])
            if unowed:
                self._broken.append(f"after a commit of {step!r}, different and not owed: {unowed}")
        if step in ("observe", "snapshot"):
            self._check_removed(step)
        if step == "events":
            self._check_owed_at_once()
        self._check_acknowledged(step)
        self._check_wishes(step)

    def _check_removed(self, step: str) -> None:
        objects = {key for (key,) in self._world.lake.read("SELECT key FROM objects")}
        if step == "snapshot":
            # A complete listing may be older than the sync that merges it; none is older than the merge before last.
            since, self._merges = self._merges[0], [self._merges[1], self._tick]
        else:
            since = self._merges[0]
        for key in self._objects - objects:
            if key in self._world.model and self._absent_at.get(key, -1) < since:
                self._broken.append(f"{key!r} left the objects in a commit of {step!r}, and was never away")
        self._objects = objects

    def _check_owed_at_once(self) -> None:
        """What an event names is owed in the commit that stores it, and has to be looked at anew."""
        lake = self._world.lake
        stored = {identity for (identity,) in lake.read("SELECT identity FROM event_identities")}
        owed = set(lake.read("SELECT path, aspect FROM owed WHERE observed_at IS NULL"))
        for event in self._world.published:
            # One that a sequencer makes old owes nothing.
            if event.identity in stored - self._stored and event.sequencer is None:
                aspect = "permissions" if event.event_type is EventType.CHANGE_PERMISSION else "content"
                missing = {(key, aspect) for key in event.keys} - owed
                if missing:
                    self._broken.append(f"{event.identity} is stored, and {missing} not owed")
        self._stored = stored

    def _check_acknowledged(self, step: str) -> None:
        count = len(self._world.feed.acknowledged)
        if self._world.delivery is Delivery.ACKNOWLEDGE and count > self._acknowledged:
            self._acknowledged = count
            stored = {row[0] for row in self._world.lake.read("SELECT identity FROM event_identities")}
            missing = set(self._world.feed.acknowledged) - stored
            if missing:
                self._broken.append(f"at a commit of {step!r}, acknowledged and not stored: {missing}")

    def _check_wishes(self, step: str) -> None:
        """Permissions asked for stay asked for where their file is: until a later wish, or until it is deleted."""
        lake = self._world.lake
        rows = lake.read("SELECT event_identity, path, since FROM desired_permissions")
        before, self._wishes = self._wishes, {identity: (path, since) for identity, path, since in rows}
        newest = dict(self._wishes.values())
        for path, since in (before[identity] for identity in before.keys() - self._wishes.keys()):
            became = "SELECT kind, new_path FROM outcomes WHERE status = 'done' AND path = ?"
            ends = set(lake.read(became, [path]))
            moved_to = [place for kind, place in ends if kind == "move"]
            in_order = step == "identity" or path in newest or ("delete", None) in ends
            if not in_order and not any(place in newest and newest[place] >= since for place in moved_to):
                self._broken.append(f"in a commit of {step!r}, permissions asked for at {path!r} are forgotten")

    def after_sync(self) -> None:
        """All that holds between syncs, however the last one ended."""
        broken, self._broken = self._broken, []
        assert not broken, "; ".join(broken)
        self._check_confirmed()
        self._check_known()
        self._check_quarantine()

    def unknown_paths(self) -> set[str]:
        """Paths of operations whose outcome nobody knows yet."""
        unknown: set[str] = set()
        for plan in plans.interrupted(self._world.lake):
            for operation in plans.unknown_operations(self._world.lake, plan):
                unknown |= {operation.path, operation.new_path or operation.path}
        return unknown

    def settled_paths(self) -> set[str]:
        """Paths at which bucket, file manager and lake agree: there is nothing to be done for them."""
        world, unknown = self._world, self.unknown_paths()
        equal = set()
        for path, etag, size in world.lake.read("SELECT path, source_etag, size FROM files"):
            there, file = world.bucket.objects.get(path), world.files.held.files.get(path)
            if there is None or file is None or path in unknown:
                continue
            if there.content == file.content and (there.etag, len(there.content)) == (etag, size):
                equal.add(path)
        return equal

    def _check_confirmed(self) -> None:
        """`files` says only what the file manager acknowledged, and what it says of content is true."""
        world = self._world
        doubtful = self.unknown_paths() | world.untrue
        for path, internal_id, etag, size, kind, value in world.lake.read(
            "SELECT path, internal_id, source_etag, size, fingerprint_kind, fingerprint_value FROM files"
        ):
            if etag is None:
                continue
            assert (path, internal_id) in world.acknowledged, f"{path!r} with {internal_id} was never acknowledged"
            if path in doubtful:
                continue
            file = world.files.held.files.get(path)
            assert file is not None, f"{path!r} is confirmed and not there"
            assert len(file.content) == size, f"{path!r} is confirmed with {size} bytes and has {len(file.content)}"
            if kind == "md5":
                there = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
                assert there == value, f"{path!r} is confirmed with other content than it has"

    def _check_known(self) -> None:
        """Nothing stands at the file manager that nobody knows of."""
        known = {path for (path,) in self._world.lake.read("SELECT path FROM files")}
        strays = self._world.files.held.files.keys() - known - self.unknown_paths() - self._world.untrue
        assert not strays, f"nobody knows of {strays}"

    def _check_quarantine(self) -> None:
        hidden = self._world.lake.read(
            "SELECT path FROM owed WHERE quarantined_at IS NOT NULL "
            "AND (last_error IS NULL OR last_error_kind IS NULL OR attempts IS NULL)"
        )
        assert hidden == [], f"in quarantine without a reason: {hidden}"
