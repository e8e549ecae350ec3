"""After a kill a sync goes on where it stopped: counted in the requests that reach both ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_tests.e2e.builders import HTTP_FEED, a_bucket, a_deployment
from cloudsync_tests.reliability.faults_proxy import Proxy, proxy
from cloudsync_tests.reliability.kills_process import Preloaded
from cloudsync_tests.reliability.kills_world import NAME, Server, World, arguments
from cloudsync_tests.servers import S3Server

pytestmark = pytest.mark.timeout(1500)


def test_nothing_is_listed_sent_or_believed_twice(seaweedfs: S3Server, tmp_path: Path) -> None:
    bucket = a_bucket(seaweedfs)
    with (
        devserver.running(tmp_path / "file-manager", fsync=False) as server,
        proxy(seaweedfs.endpoint) as storage,
        proxy(server.url) as files,
        Preloaded("command", tmp_path) as command,
    ):
        deployment = a_deployment(tmp_path / "deployment")
        through = replace(bucket, server=replace(seaweedfs, endpoint=storage.url))
        into = f"file_manager: {{type: http_api, url: '{files.url}'}}\n"
        more = "sync: {transfers: 1}\npolicy: {max_delete_ratio: 1, read_permissions: false}\n"
        deployment.add(NAME, through.as_yaml(), into, HTTP_FEED, more)
        world = World(deployment, bucket, Server(server), feed=server).filled()

        # Killed with a complete listing, which is out of date when the next one begins.
        assert command.run(*arguments(world, "initial-sync"), kill_at=0, only="listing, after").killed
        assert listings(storage) > 0
        world.put("first/0.txt")
        world.delete("first/1.txt")
        world.put("new.txt")
        storage.seen.clear()

        # Killed while it sends: two files arrived, and their outcomes are not recorded.
        ended = command.run(*arguments(world, "initial-sync"), kill_at=1, only="file manager put, after")
        assert ended.killed, ended.log
        assert listings(storage) == 0
        arrived = files.calls("create")
        assert len(arrived) == 2
        world.require_whole()
        files.seen.clear()

        assert command.run(*arguments(world, "initial-sync")).code == 0
        world.require_in_step()

    # What may have been done was asked about, before anything else was sent.
    asked = [(one.operation, one.path) for one in files.seen if one.operation]
    first_sent = next(number for number, (operation, _) in enumerate(asked) if operation != "get")
    assert {path for operation, path in asked[:first_sent] if operation == "get"} >= set(arrived)
    sent = files.calls("create", "update")
    assert not set(sent) & set(arrived)
    assert sorted(sent + arrived) == [f"{NAME}/first/{number}.txt" for number in (0, 2, 3, 4, 5)] + [f"{NAME}/new.txt"]


def listings(storage: Proxy) -> int:
    return sum("list-type=2" in one.target for one in storage.seen)
