"""A `cloudsync` process, killed at every point of a sync, leaves nothing half, loses nothing, doubles nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_tests.e2e.builders import HTTP_FEED, a_bucket, a_deployment, into_folder
from cloudsync_tests.reliability.faults_proxy import Answer, Fault, Proxy, Request, Rule, proxy
from cloudsync_tests.reliability.kills_process import Child, Preloaded
from cloudsync_tests.reliability.kills_world import (
    NAME,
    Folder,
    InboxOf,
    Server,
    World,
    arguments,
    points_of,
)
from cloudsync_tests.servers import S3Server

pytestmark = pytest.mark.timeout(1500)
ONE_AT_A_TIME = "sync: {transfers: 1}\n"
"""So that the points of a sync come in the same order each time."""
DELETES_PASS = "policy: {max_delete_ratio: 1}\n"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    with Preloaded("command", tmp_path_factory.mktemp("logs")) as process:
        yield process


@pytest.fixture
def to_folder(tmp_path: Path, seaweedfs: S3Server) -> World:
    """A bucket and a folder of this machine, not synced yet."""
    deployment, bucket = a_deployment(tmp_path / "deployment"), a_bucket(seaweedfs)
    deployment.add(NAME, bucket.as_yaml(), into_folder(tmp_path / "files"), ONE_AT_A_TIME, DELETES_PASS)
    return World(deployment, bucket, Folder(tmp_path / "files")).filled()


@pytest.fixture
def to_server(tmp_path: Path, seaweedfs: S3Server) -> Iterator[tuple[World, Proxy]]:
    """A bucket and a file manager with a feed, behind a proxy, not synced yet."""
    deployment, bucket = a_deployment(tmp_path / "deployment"), a_bucket(seaweedfs)
    with devserver.running(tmp_path / "file-manager", fsync=False) as server, proxy(server.url) as between:
        into = f"file_manager: {{type: http_api, url: '{between.url}'}}\n"
        deployment.add(NAME, bucket.as_yaml(), into, HTTP_FEED, DELETES_PASS)
        yield World(deployment, bucket, Server(server), feed=server).filled(), between


@pytest.fixture
def told_of(tmp_path: Path, seaweedfs: S3Server) -> tuple[World, InboxOf]:
    """A bucket, a folder of this machine and an inbox, which has to be acknowledged; not synced yet."""
    deployment, bucket = a_deployment(tmp_path / "deployment"), a_bucket(seaweedfs)
    into, feed = into_folder(tmp_path / "files"), "feed: {type: inbox}\n"
    deployment.add(NAME, bucket.as_yaml(), into, feed, ONE_AT_A_TIME, DELETES_PASS)
    inbox = InboxOf(deployment)
    return World(deployment, bucket, Folder(tmp_path / "files"), feed=inbox).filled(), inbox


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a sync is killed: the how-many-th point of a name, from 0 on."""

    name: str
    nth: int = 0

    def __call__(self, world: World, command: Preloaded, how: str) -> None:
        ended = command.run(*arguments(world, how), kill_at=self.nth, only=self.name)
        assert ended.killed, (self, ended)
        world.require_whole()


FIRST_SYNC = (
    Kill("commit migrate, before"),
    Kill("commit migrate, after"),
    Kill("commit identity, before"),
    Kill("listing, before"),
    Kill("commit snapshot, after"),
    Kill("commit plan, after"),
    Kill("file manager put, after", 1),
    Kill("commit execute, before"),
)
BEFORE_SENDING = (
    Kill("commit begin, before"),
    Kill("commit begin, after"),
    Kill("listing, amid"),
    Kill("listing, after"),
    Kill("commit snapshot, before"),
    Kill("commit snapshot, after"),
    Kill("commit plan, before"),
    Kill("commit plan, after"),
)
SENDING = (
    Kill("file manager move, after"),
    Kill("local rename, after", 1),
    Kill("commit execute, before"),
    Kill("file manager put, after"),
    Kill("file manager delete, after"),
    Kill("commit execute, after", 2),
    Kill("file manager report, before"),
    Kill("commit finish, before"),
    Kill("control result, after"),
)

TAKING_EVENTS = (
    (Kill("commit events, before"), True),
    (Kill("commit events, after"), True),
    (Kill("feed acknowledge, before"), True),
    (Kill("feed acknowledge, after"), False),
    (Kill("commit observe, before"), False),
    (Kill("commit observe, after"), False),
)
"""And whether the events still wait at the feed then."""


def synced(world: World, command: Preloaded, how: str) -> None:
    ended = command.run(*arguments(world, how))
    assert ended.code == 0, ended.log
    world.require_in_step()


def test_a_first_sync_killed_again_and_again_comes_through_in_the_end(to_folder: World, command: Preloaded) -> None:
    for kill in FIRST_SYNC:
        kill(to_folder, command, "initial-sync")
        to_folder.change()
    synced(to_folder, command, "initial-sync")


def test_every_step_of_a_sync_is_one_that_is_killed_here(to_folder: World, command: Preloaded, tmp_path: Path) -> None:
    world, trace = to_folder, tmp_path / "trace"
    synced(world, command, "initial-sync")
    for _ in range(3):
        world.change()
    points = points_of(command.run(*arguments(world, "reconcile"), trace=trace), trace)
    world.require_in_step()
    assert {name.split(",")[0] for name, _ in points} == {
        kill.name.split(",")[0] for kill in (*BEFORE_SENDING, *SENDING)
    } | {"file manager flush", "local index"}


def test_a_sync_killed_again_and_again_before_it_sends_is_made_good_by_the_next(
    to_folder: World, command: Preloaded
) -> None:
    synced(to_folder, command, "initial-sync")
    for kill in BEFORE_SENDING:
        to_folder.change()
        kill(to_folder, command, "reconcile")
    synced(to_folder, command, "reconcile")


def test_a_sync_killed_while_it_sends_is_made_good_by_the_next(to_folder: World, command: Preloaded) -> None:
    synced(to_folder, command, "initial-sync")
    for _ in range(3):
        to_folder.change()
    synced(to_folder, command, "reconcile")
    for number, kill in enumerate(SENDING, 1):
        to_folder.change()
        kill(to_folder, command, "reconcile")
        if number % 3 == 0:
            synced(to_folder, command, "reconcile")


def test_a_sync_killed_again_and_again_while_it_takes_events_loses_none(
    told_of: tuple[World, InboxOf], command: Preloaded, tmp_path: Path
) -> None:
    """No listing makes anything good here: what is not told twice has to be remembered."""
    (world, inbox), trace = told_of, tmp_path / "trace"
    synced(world, command, "initial-sync")
    for kill, waits in TAKING_EVENTS:
        world.change()
        kill(world, command, "incremental-sync")
        assert (inbox.waiting() > 0) is waits, kill
    world.change()
    points = points_of(command.run(*arguments(world, "incremental-sync"), trace=trace), trace)
    world.require_in_step()
    assert inbox.waiting() == 0
    names = {name for name, _ in points}
    assert {kill.name for kill, _ in TAKING_EVENTS} <= names
    assert not any(name.startswith(("listing", "commit snapshot")) for name in names)
    elsewhere = {kill.name.split(",")[0] for kill in (*BEFORE_SENDING, *SENDING)} | {
        "file manager flush",
        "local index",
    }
    assert {name.split(",")[0] for name in names} - elsewhere == {kill.name.split(",")[0] for kill, _ in TAKING_EVENTS}


def test_a_sync_into_a_file_manager_killed_after_each_of_its_acknowledgements(
    to_server: tuple[World, Proxy], command: Preloaded
) -> None:
    """The answer is on its way when the process ends, and the bucket changes before the next one begins."""
    world, between = to_server
    synced(world, command, "initial-sync")
    for number in range(5):
        world.change()
        between.rule, killing = killing_at_acknowledgement(number)
        child = command.start(*arguments(world, "incremental-sync"))
        killing.append(child)
        ended = child.wait()
        between.rule = lambda _: None
        world.require_whole()
        if not ended.killed:
            # There were fewer acknowledgements than that: all of them are through.
            assert number >= 4, ended
            break
        world.change()
        if number % 2:
            synced(world, command, "incremental-sync")
    synced(world, command, "incremental-sync")


def killing_at_acknowledgement(number: int) -> tuple[Rule, list[Child]]:
    children: list[Child] = []
    count = 0

    def end(_: Answer) -> None:
        children[0].kill()

    def rule(request: Request) -> Fault | None:
        nonlocal count
        if request.operation in ("", "get"):
            return None
        count += 1
        return Fault(after=end) if count == number + 1 else None

    return rule, children
