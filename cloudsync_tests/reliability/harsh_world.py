"""A world in which everything goes wrong on request: two ends, a feed and a lake, with a dict as the model of it all.

Storage, feed and file manager are the fakes of the package. What a customer does is done to the model too; what we do
is checked while it is done (`ends`), at each commit and after each sync (`promises`), and in the end (`quiet`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.core.events import Event, EventType, MalformedEvent
from cloudsync_pipeline.core.ordering import PARKING
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_pipeline.engine import decisions
from cloudsync_pipeline.engine.results import Mode, SyncResult
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.feeds.memory import Delivery, MemoryFeed
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.lake import Lake, approvals, plans
from cloudsync_pipeline.storage.memory import MemoryBucket
from cloudsync_tests.reliability.ends import WatchedFileManager, WatchedStorage
from cloudsync_tests.reliability.kills import DeadlyFaults, Kill, Killed, Mortality
from cloudsync_tests.reliability.lakes import a_quick_lake, a_real_lake
from cloudsync_tests.reliability.promises import Promises

DAY = timedelta(hours=24)


class Clock:
    """Goes on by a millisecond whenever it is asked, and jumps when told, also back."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def jump(self, by: timedelta) -> None:
        self.at += by


@dataclass
class HarshWorld:
    """See the module's docstring.

    Attributes:
        delivery: how the feed delivers; None is an integration without one.
        sequencers: events carry one.
        real_lake: a lake of DuckLake's in place of plain tables.
    """

    folder: Path
    capabilities: FileManagerCapabilities
    policy: Policy
    delivery: Delivery | None = Delivery.ACKNOWLEDGE
    sequencers: bool = False
    real_lake: bool = False

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.mortality = Mortality()
        self.bucket = MemoryBucket()
        self.storage = WatchedStorage(
            self.bucket, faults=DeadlyFaults(self.mortality), now=self.clock, page_size=3, chunk_size=3
        )
        self.files = WatchedFileManager(capabilities=self.capabilities, faults=DeadlyFaults(self.mortality))
        self.storage.world = self.files.world = self
        self.feed = MemoryFeed(self.delivery or Delivery.REPEAT, max_page=5)
        self.feed.faults = DeadlyFaults(self.mortality)
        self._lake = a_real_lake(self.folder) if self.real_lake else a_quick_lake(self.folder, self.clock)
        self.promises = Promises(self)
        self._watch_lake()
        self.identity: Mapping[str, str] = {"storage.bucket": "one", "file_manager.url": "here"}
        self.published: list[Event] = []
        self._numbers = itertools.count(1)
        self.syncs = self.kills = 0
        # The model: what the bucket holds, what each key held since the last sync began, and ever.
        self.model: dict[str, bytes] = {}
        self.lately: dict[str, set[bytes]] = {}
        self.ever: dict[str, set[bytes]] = {}
        # What the ends said and did.
        self.told: dict[str, bool] = {}
        self.acknowledged: set[tuple[str, str | None]] = set()
        self.damaged: set[str] = set()
        self.lied: set[str] = set()
        self.untrue: set[str] = set()
        self.settled: set[str] = set()
        self.deletes: list[datetime] = []
        self.most_files = 0
        self.approved: set[tuple[str, str | None]] = set()
        self.rejected: set[str] = set()

    @property
    def lake(self) -> Lake:
        return self._lake

    def _watch_lake(self) -> None:
        self._lake.before_commit = lambda _: self.mortality.at_commit(after=False)
        self._lake.after_commit = self._after_commit

    def _after_commit(self, step: str) -> None:
        if step == "plan":
            self.told.clear()
        self.promises.at_commit(step)
        self.mortality.at_commit(after=True)

    # --- what a customer does ---------------------------------------------------------------------

    def put(self, key: str, content: bytes, etag: str | None = None) -> None:
        self.storage.put(key, content, etag=etag)
        self._becomes(key, content)

    def delete(self, key: str) -> None:
        self.storage.delete(key)
        self._vanishes(key)

    def rename(self, key: str, new_key: str) -> None:
        self.storage.rename(key, new_key)
        self._becomes(new_key, self.model[key])
        if key != new_key:
            self._vanishes(key)

    def swap(self, one: str, other: str) -> None:
        objects = self.bucket.objects
        objects[one], objects[other] = objects[other], objects[one]
        of_one, of_other = self.model[one], self.model[other]
        self._becomes(one, of_other)
        self._becomes(other, of_one)

    def _becomes(self, key: str, content: bytes) -> None:
        self.model[key] = content
        self.lately.setdefault(key, set()).add(content)
        self.ever.setdefault(key, set()).add(content)
        self.settled.discard(key)
        self.rejected.discard(key)

    def _vanishes(self, key: str) -> None:
        del self.model[key]
        self.settled.discard(key)
        self.promises.absent(key)

    def announce(self, kind: EventType, key: str, new_key: str | None = None, permissions: str | None = None) -> None:
        number = next(self._numbers)
        event = Event(
            identity=f"event-{number}",
            event_type=kind,
            key=key,
            new_key=new_key,
            permissions=Permissions(permissions) if permissions else None,
            sequencer=f"{number:08X}" if self.sequencers else None,
            raw="{}",
        )
        self.published.append(event)
        self.feed.publish(event)

    def announce_nonsense(self) -> None:
        self.feed.publish(MalformedEvent(f"event-{next(self._numbers)}", "it is no JSON", "<"))

    # --- what a person decides --------------------------------------------------------------------

    def approve(self) -> int:
        """Approve what the newest plan holds; returns how many deletes."""
        newest = plans.newest_holding(self.lake)
        held = approvals.held(self.lake, newest.plan_id, limit=1000) if newest else []
        if newest is None or not held:
            return 0
        self.approved |= {(one.path, one.internal_id) for one in held}
        return decisions.approve(self.lake, run_id="approval", plan_id=newest.plan_id, by="test", now=self.clock())

    def reject(self) -> int:
        """Reject what the newest plan holds; returns how many deletes."""
        newest = plans.newest_holding(self.lake)
        held = approvals.held(self.lake, newest.plan_id, limit=1000) if newest else []
        if newest is None or not held:
            return 0
        self.rejected |= {one.path for one in held}
        return decisions.reject(self.lake, run_id="rejection", plan_id=newest.plan_id, by="test", now=self.clock())

    def retry(self) -> int:
        """Make everything due that waits; returns how many paths."""
        self.rejected.clear()
        return decisions.retry(self.lake, run_id="retry")

    # --- what we do -------------------------------------------------------------------------------

    def session(self) -> Session:
        return Session(
            integration="world",
            identity=self.identity,
            storage=self.storage,
            file_manager=self.files,
            lake=self.lake,
            feed=self.feed if self.delivery else None,
            policy=self.policy,
            clock=self.clock,
        )

    def sync(self, mode: Mode, kill: Kill | None = None) -> SyncResult | CloudSyncError | None:
        """One sync; its error where it broke off, None where the process was killed. Checks what must hold."""
        self.syncs += 1
        self.lately = {key: {content} for key, content in self.model.items()}
        self.told.clear()
        self.most_files = max(self.most_files, len(self.files.held.files))
        self.settled = self.promises.settled_paths()
        self.mortality.live(replace(kill) if kill else None)
        ended: SyncResult | CloudSyncError | None = None
        try:
            ended = asyncio.run(sync(self.session(), mode, run_id=new_run_id()))
        except CloudSyncError as error:
            ended = error
        except Killed:
            self.kills += 1
            self._lake = self._lake.again()
            self._watch_lake()
        finally:
            self.mortality.live()
            self.settled = set()
        self.promises.after_sync()
        if isinstance(ended, SyncResult):
            unknown = self.promises.unknown_paths()
            assert not unknown, f"a sync ended, and what became of {unknown} is not known"
        return ended

    # --- what the ends tell -----------------------------------------------------------------------

    def no_rework(self, path: str, what: str) -> None:
        if path in self.settled:
            raise AssertionError(f"{what} of {path!r}, which was confirmed and has not changed")

    def may_be_deleted(self, path: str) -> None:
        """Checks, when a delete is sent, that the storage was asked just before and that the guard lets it pass."""
        assert self.told.get(path) is False, (
            f"{path!r} is deleted, and the storage did not say just before that it is gone"
        )
        assert self.policy.deletes is DeletePolicy.PROPAGATE or path.startswith(f"{PARKING}-"), (
            f"{path!r} was to be kept"
        )
        assert path not in self.rejected, f"{path!r} is deleted, although a person rejected that"
        file = self.files.held.files.get(path)
        if file is None or (path, file.internal_id) in self.approved:
            return
        now = self.clock.at
        lately = sum(1 for at in self.deletes if at > now - DAY)
        most = max(self.most_files, len(self.files.held.files) + lately)
        allowed = max(self.policy.min_deletes - 1, self.policy.max_delete_ratio * most)
        assert lately + 1 <= allowed, f"{path!r} is the {lately + 1}. delete of {most} files, and nobody approved it"

    def deleted(self, path: str) -> None:
        self.untrue.discard(path)
        self.deletes.append(self.clock.at)

    def moved(self, path: str, new_path: str) -> None:
        """What a file manager holds without anybody knowing better goes where its file goes."""
        self.untrue.discard(new_path)
        if path in self.untrue:
            self.untrue.discard(path)
            self.untrue.add(new_path)

    def stored(self, path: str, content: bytes, *, whole: bool, nothing: bool) -> None:
        """Checks that what is stored is what the object was since the sync began, unless an end lied about it."""
        lied, damaged = path in self.lied, path in self.damaged
        self.lied.discard(path)
        self.damaged.discard(path)
        if nothing or lied:
            self.untrue.add(path)
        elif whole and content in self.lately.get(path, ()):
            self.untrue.discard(path)
        elif whole:
            assert damaged, f"{path!r} becomes {content!r}, which its object was not"
            self.untrue.add(path)
        else:
            assert not self.capabilities.atomic_put, f"{path!r} holds a part of its object"
