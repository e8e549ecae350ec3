"""A small world for the engine: a bucket, a feed, a file manager and a lake, all of them fakes but the lake."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cloudsync_pipeline.core.events import Event, EventType
from cloudsync_pipeline.core.faults import Faults
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.core.rules import Policy
from cloudsync_pipeline.engine.results import Mode, SyncResult
from cloudsync_pipeline.engine.session import Session, utc_now
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.feeds.memory import Delivery, MemoryFeed
from cloudsync_pipeline.file_managers.memory import EVERYTHING, MemoryFileManager
from cloudsync_pipeline.lake import Lake, runs
from cloudsync_pipeline.storage.memory import MemoryBucket, MemoryStorage
from cloudsync_tests.quick_lake import QuickLake

_NUMBERS = itertools.count(1)


def an_event(
    kind: EventType,
    key: str,
    new_key: str | None = None,
    *,
    permissions: str | None = None,
    identity: str | None = None,
) -> Event:
    """An event with an identity of its own."""
    return Event(
        identity=identity or f"event-{next(_NUMBERS)}",
        event_type=kind,
        key=key,
        new_key=new_key,
        permissions=Permissions(permissions) if permissions else None,
        raw="{}",
    )


@dataclass
class World:
    """What a test changes and looks at. `with_feed=False` is an integration that is scanned instead."""

    folder: Path
    with_feed: bool = True
    policy: Policy = field(default_factory=lambda: Policy(retry_attempts=2))
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    storage_faults: Faults = field(default_factory=Faults)
    feed: MemoryFeed = field(default_factory=lambda: MemoryFeed(Delivery.REPEAT))
    capabilities: Mapping[str, object] = field(default_factory=dict)
    clock: Callable[[], datetime] = utc_now
    real_lake: bool = False
    lake_kept: Lake | None = None

    def __post_init__(self) -> None:
        self.storage = MemoryStorage(self.bucket, faults=self.storage_faults)
        self.files = MemoryFileManager(capabilities=replace(EVERYTHING, **self.capabilities))  # type: ignore[arg-type]

    @property
    def lake(self) -> Lake:
        """The world's lake, opened at its first use."""
        if self.lake_kept is None:
            folder = self.folder / "lake"
            self.lake_kept = Lake.open(folder, integration="world") if self.real_lake else QuickLake.made(folder)
        return self.lake_kept

    def close(self) -> None:
        if self.lake_kept is not None:
            self.lake_kept.close()
            self.lake_kept = None

    def session(self, identity: Mapping[str, str] | None = None) -> Session:
        return Session(
            integration="world",
            identity=identity or {"storage.bucket": "one", "file_manager.url": "here"},
            storage=self.storage,
            file_manager=self.files,
            lake=self.lake,
            feed=self.feed if self.with_feed else None,
            policy=self.policy,
            clock=self.clock,
        )

    def sync(self, mode: Mode = Mode.INCREMENTAL, *, dry_run: bool = False) -> SyncResult:
        return asyncio.run(sync(self.session(), mode, run_id=new_run_id(), dry_run=dry_run))

    def put(self, key: str, content: bytes = b"content") -> None:
        """Change the bucket and announce it."""
        kind = EventType.UPDATE if key in self.bucket.objects else EventType.CREATE
        self.storage.put(key, content)
        self.feed.publish(an_event(kind, key))

    def delete(self, key: str) -> None:
        self.storage.delete(key)
        self.feed.publish(an_event(EventType.DELETE, key))

    def rename(self, key: str, new_key: str) -> None:
        self.storage.rename(key, new_key)
        self.announce_rename(key, new_key)

    def announce_rename(self, key: str, new_key: str) -> None:
        """Tell of a rename that the bucket shows already."""
        self.feed.publish(an_event(EventType.RENAME, key, new_key))

    def change_permissions(self, key: str, permissions: str) -> None:
        self.feed.publish(an_event(EventType.CHANGE_PERMISSION, key, permissions=permissions))

    # --- what is true ---------------------------------------------------------------------------

    def contents(self) -> dict[str, bytes]:
        """The file manager's files."""
        return {path: file.content for path, file in self.files.held.files.items()}

    def wanted(self) -> dict[str, bytes]:
        """The bucket's objects."""
        return {key: stored.content for key, stored in self.bucket.objects.items()}

    def ids(self) -> dict[str, str]:
        return {path: file.internal_id for path, file in self.files.held.files.items()}

    def owed(self) -> dict[str, str]:
        """Owed content, path to reason."""
        return dict(self.lake.read("SELECT path, reason FROM owed WHERE aspect = 'content'"))

    def sent(self) -> list[str]:
        """Which calls changed the file manager, in order."""
        changing = ("put", "move", "delete", "set_permissions")
        return [call.operation for call in self.files.calls if call.operation in changing]

    def forget_calls(self) -> None:
        self.files.calls.clear()
        self.storage_faults.calls.clear()

    def check_debts(self) -> None:
        """Every path where objects and files differ is owed; `files` is what the file manager acknowledged."""
        if runs.get_meta(self.lake, "scanned_at") is None:
            return
        unowed = self.lake.read(
            """
            SELECT coalesce(o.key, f.path) FROM objects o FULL JOIN files f ON f.path = o.key
            WHERE NOT coalesce(f.size = o.size AND f.source_etag = o.etag, false)
              AND coalesce(o.key, f.path) NOT IN (SELECT path FROM owed WHERE aspect = 'content')
            """
        )
        assert unowed == []
