"""A second sync without changes plans and sends nothing: every storage, every file manager, every feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.wiring.ends import shared_storage
from cloudsync_tests.e2e.builders import HTTP_FEED, Deployment, a_bucket, into_folder, into_server
from cloudsync_tests.feeds.message_harnesses import Queue
from cloudsync_tests.servers import S3Server

NAME = "acme"
OBJECTS = {"a": b"one", "folder/b": b"two", "folder/empty": b"", "caf\u00e9 #1 100%": b"three"}
SENDING = {"put", "move", "delete", "set_permissions"}


@dataclass
class Counted:
    """A file manager that notes which of its methods are called."""

    wrapped: Any
    called: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        self.called.append(name)
        return getattr(self.wrapped, name)


@pytest.fixture(name="write_storage")
def _write_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    def write(kind: str) -> str:
        if kind == "memory":
            storage = shared_storage(str(tmp_path))
            for key, content in OBJECTS.items():
                storage.put(key, content)
            return f"storage: {{type: memory, name: '{tmp_path}'}}\n"
        if kind == "folder":
            for key, content in OBJECTS.items():
                path = tmp_path / "source" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return f"storage: {{type: local, path: {tmp_path / 'source'}}}\n"
        server: S3Server = request.getfixturevalue(kind)
        return a_bucket(server, OBJECTS).as_yaml()

    return write


@pytest.fixture(name="write_file_manager")
def _write_file_manager(server: DevServer, tmp_path: Path) -> Callable[[str], str]:
    def write(kind: str) -> str:
        if kind == "memory":
            return f"file_manager: {{type: memory, name: '{tmp_path}'}}\n"
        return into_folder(tmp_path / "files") if kind == "folder" else into_server(server)

    return write


def three_syncs(deployment: Deployment) -> list[tuple[SyncResult, set[str]]]:
    """An initial sync and, without a change, one of each other kind; with each, what was asked of the file manager."""

    async def run() -> list[tuple[SyncResult, set[str]]]:
        ended = []
        fleet = load_fleet(deployment.config)
        async with wiring.open_session(fleet, NAME, run_id="test", purpose="three syncs") as session:
            connected = session.file_manager
            for mode in (Mode.INITIAL, Mode.RECONCILE, Mode.INCREMENTAL):
                counted = Counted(connected)
                session.file_manager = counted
                ended.append((await sync(session, mode, run_id=new_run_id()), set(counted.called)))
        return ended

    return asyncio.run(run())


def assert_only_the_first_sends(deployment: Deployment) -> None:
    (first, asked), *others = three_syncs(deployment)
    assert first.verdict is Verdict.IN_SYNC, first.execution
    assert first.execution is not None
    assert first.execution.done["create"] == len(OBJECTS)
    assert "put" in asked
    for result, asked in others:
        assert result.verdict is Verdict.IN_SYNC
        assert result.plan is not None
        assert (result.plan.by_kind, result.plan.held) == ({}, 0)
        assert asked & SENDING == set()


@pytest.mark.parametrize("file_manager", ["memory", "folder", "http"])
@pytest.mark.parametrize("storage", ["memory", "folder", "seaweedfs", "moto"])
def test_between_every_storage_and_every_file_manager(
    deployment: Deployment,
    write_storage: Callable[[str], str],
    write_file_manager: Callable[[str], str],
    storage: str,
    file_manager: str,
) -> None:
    deployment.add(NAME, write_storage(storage), write_file_manager(file_manager))
    assert_only_the_first_sends(deployment)


@pytest.mark.parametrize("feed", ["memory", "http", "inbox", "sqs"])
def test_with_every_feed(
    deployment: Deployment,
    write_storage: Callable[[str], str],
    write_file_manager: Callable[[str], str],
    request: pytest.FixtureRequest,
    feed: str,
) -> None:
    sections = {"memory": "feed: {type: memory}\n", "http": HTTP_FEED, "inbox": "feed: {type: inbox}\n"}
    if feed == "sqs":
        moto: S3Server = request.getfixturevalue("moto")
        sections["sqs"] = (
            f"feed:\n  type: sqs\n  queue_url: {Queue(moto).url}\n"
            f"  endpoint: {moto.endpoint}\n  region: {moto.region}\n"
            f"  credentials: {{access_key: {moto.access_key}, secret_key: {moto.secret_key}}}\n"
        )
    deployment.add(NAME, write_storage("moto"), write_file_manager("http"), sections[feed])
    assert_only_the_first_sends(deployment)
