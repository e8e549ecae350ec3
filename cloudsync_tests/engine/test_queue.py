"""A sync that is fed by a queue: a message is deleted when it is recorded, and not before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import CommitFailed, Unavailable
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.feeds.sqs_client import SqsClient
from cloudsync_pipeline.lake import feeding
from cloudsync_tests.engine.world import World
from cloudsync_tests.feeds.message_harnesses import Queue
from cloudsync_tests.feeds.messages import a_record, a_test_event, notification
from cloudsync_tests.servers import S3Server


@pytest.fixture
def queue(moto: S3Server) -> Queue:
    return Queue(moto)


def sync_with(world: World, queue: Queue) -> SyncResult:
    """One sync, with connections of its own."""

    async def scenario() -> SyncResult:
        async with queue.feed() as feed:
            return await sync(replace(world.session(), feed=feed), Mode.INCREMENTAL, run_id=new_run_id())

    return asyncio.run(scenario())


def a_synced_world(world: World) -> World:
    world.storage.put("old", b"old")
    world.storage.put("gone", b"gone")
    world.sync()
    world.forget_calls()
    return world


def left(queue: Queue) -> tuple[int, int]:
    return queue.waiting, queue.in_flight


def test_what_messages_name_is_brought_over_and_they_are_deleted(world: World, queue: Queue) -> None:
    a_synced_world(world)
    world.storage.put("new", b"new")
    world.storage.delete("gone")
    deleted = a_record("ObjectRemoved:DeleteMarkerCreated", "gone", version="v2")
    queue.send(a_test_event(), notification(a_record(key="new")), "<html>", notification(deleted))
    result = sync_with(world, queue)
    assert result.verdict is Verdict.IN_SYNC
    assert result.events is not None
    assert (result.events.received, result.events.new, result.events.malformed) == (4, 2, 1)
    assert world.contents() == world.wanted() == {"old": b"old", "new": b"new"}
    assert world.storage_faults.calls["list"] == 0
    assert left(queue) == (0, 0)


@pytest.mark.real_lake
def test_a_message_comes_again_where_its_commit_failed(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_synced_world(world)
    world.storage.put("new", b"new")
    queue.send(notification(a_record(key="new")))
    store = feeding._store

    def broken(*arguments: Any) -> None:
        store(*arguments)
        raise CommitFailed("injected")

    with monkeypatch.context() as patched:
        patched.setattr(feeding, "_store", broken)
        with pytest.raises(CommitFailed):
            sync_with(world, queue)
    assert left(queue) == (1, 0)
    assert world.lake.scalar("SELECT count(*) FROM events WHERE key = 'new'") == 0

    assert sync_with(world, queue).verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    assert left(queue) == (0, 0)


def test_a_message_that_could_not_be_deleted_comes_again_and_is_known(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_synced_world(world)
    world.storage.put("new", b"new")
    queue.send(notification(a_record(key="new")))

    async def broken(*_: object) -> None:
        raise Unavailable("injected")

    with monkeypatch.context() as patched:
        patched.setattr(SqsClient, "delete", broken)
        with pytest.raises(Unavailable):
            sync_with(world, queue)
    assert left(queue) == (1, 0)

    result = sync_with(world, queue)
    assert result.events is not None
    assert (result.events.new, result.events.duplicates) == (0, 1)
    assert world.contents() == world.wanted()
    assert left(queue) == (0, 0)


def test_a_delete_of_a_single_version_deletes_nothing_that_is_still_there(world: World, queue: Queue) -> None:
    a_synced_world(world)
    queue.send(notification(a_record("ObjectRemoved:Delete", "old", version="an older one")))
    assert sync_with(world, queue).verdict is Verdict.IN_SYNC
    assert world.contents()["old"] == b"old"
    assert world.sent() == []
