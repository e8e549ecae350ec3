"""Incremental syncs alone: `python -m benchmarks.alone events_engine FOLDER OBJECTS EVENTS`.

An incremental sync on the lake `FOLDER/work`: half of the events change files that are known, half are of new ones.
Storage, feed and file manager are those in memory, so that what is measured is the state. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from benchmarks.made_lake import INTEGRATION, key
from cloudsync_pipeline.core.events import Event, EventType
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.feeds.memory import Delivery, MemoryFeed
from cloudsync_pipeline.file_managers.memory import MemoryFileManager
from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.storage.memory import MemoryStorage


async def work(folder: Path, objects: int, events: int) -> dict[str, float]:
    """Seconds of opening the lake, of the sync, and of one more in which nothing happens."""
    storage, files = MemoryStorage(), MemoryFileManager()
    feed = MemoryFeed(Delivery.ACKNOWLEDGE, max_page=events)
    changed = {key(number * (objects // events)) for number in range(events // 2)}
    for number, name in enumerate(sorted(changed) + [f"new {number}" for number in range(events - len(changed))]):
        storage.put(name, b"content %d" % number)
        kind = EventType.UPDATE if name in changed else EventType.CREATE
        feed.publish(Event(identity=f"event {number}", event_type=kind, key=name, raw="{}"))
    began = time.perf_counter()
    with Lake.open(folder / "work", integration=INTEGRATION, threads=2) as lake:
        session = Session(
            integration=INTEGRATION,
            identity={"storage.bucket": "made", "file_manager.url": "memory"},
            storage=storage,
            file_manager=files,
            lake=lake,
            feed=feed,
        )
        opened = time.perf_counter()
        result = await sync(session, Mode.INCREMENTAL, run_id=new_run_id())
        synced = time.perf_counter()
        if result.execution is None or sum(result.execution.done.values()) < events or result.listing is not None:
            raise SystemExit(f"it did not do what it was to do: {result}")
        await sync(session, Mode.INCREMENTAL, run_id=new_run_id())
    return {"opening": opened - began, "sync": synced - opened, "empty sync": time.perf_counter() - synced}


def main() -> None:
    """See the module's docstring."""
    print(json.dumps(asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
