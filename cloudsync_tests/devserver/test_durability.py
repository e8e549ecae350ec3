"""What a restart, a kill and a broken connection leave: the old or the new, whole, and nothing besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_tests.devserver.client import begin_upload, eventually, permissions, save, stored, unfinished

MIB = 1024 * 1024


def test_everything_survives_a_restart(own_server: DevServer) -> None:
    save(own_server, "create", "a/b", b"content", metadata='{"k": "v"}')
    permissions(own_server, "a/b", permissions="rwx------", owner="ann", group="staff")
    own_server.publish({"event_type": "create", "file_path": "/a/b"})
    own_server.call("POST", "/reportResults", {"success": True})
    before = own_server.files()

    own_server.restart()

    assert own_server.files() == before
    assert own_server.content("a/b") == b"content"
    assert own_server.results() == [{"success": True}]
    assert own_server.stats()["events"] == 1


def test_everything_acknowledged_survives_a_kill(own_server: DevServer) -> None:
    for number in range(20):
        assert save(own_server, "create", f"f{number}", str(number).encode()).status == 200

    own_server.kill()
    own_server.restart()

    assert {path: own_server.content(path) for path in own_server.files()} == {
        f"f{number}": str(number).encode() for number in range(20)
    }


def test_a_kill_amid_an_upload_leaves_the_old_content(own_server: DevServer) -> None:
    first = save(own_server, "create", "victim", b"old").json
    with begin_upload(own_server, "victim", 8 * MIB, b"n" * (4 * MIB)):
        eventually(lambda: unfinished(own_server) == 1)
        own_server.kill()
    assert unfinished(own_server) == 1

    own_server.restart()

    assert own_server.content("victim") == b"old"
    assert own_server.files()["victim"]["internal_id"] == first["internal_id"]
    assert unfinished(own_server) == 0


def test_a_broken_off_upload_leaves_nothing(own_server: DevServer) -> None:
    save(own_server, "create", "victim", b"old")
    with begin_upload(own_server, "victim", 8 * MIB, b"n" * (4 * MIB)):
        eventually(lambda: unfinished(own_server) == 1)

    eventually(lambda: unfinished(own_server) == 0)
    assert own_server.content("victim") == b"old"
    assert stored(own_server) == 1


def test_replaced_and_deleted_content_leaves_the_disk(own_server: DevServer) -> None:
    save(own_server, "create", "a", b"1")
    save(own_server, "update", "a", b"2")
    save(own_server, "create", "b", b"3")
    save(own_server, "move", "a", new_path="b")
    save(own_server, "update", "missing", b"4")
    assert stored(own_server) == 1

    save(own_server, "delete", "b")
    assert stored(own_server) == 0


def test_content_that_the_index_does_not_name_is_collected_at_the_start(own_server: DevServer) -> None:
    save(own_server, "create", "kept", b"1")
    own_server.kill()
    (own_server.settings.root / "blobs" / "ab" / "stray").write_bytes(b"x")
    (own_server.settings.root / "tmp" / "stray").write_bytes(b"x")

    own_server.restart()

    assert stored(own_server) == 1
    assert unfinished(own_server) == 0
    assert own_server.content("kept") == b"1"


def test_a_root_is_served_by_one_server_at_a_time(own_server: DevServer) -> None:
    with pytest.raises(RuntimeError, match="another server works on"), running(own_server.settings.root):
        pass
    assert own_server.call("GET", "/")["status"] == "ok"


def test_works_without_fsync_too(tmp_path: Path) -> None:
    with running(tmp_path / "root", fsync=False) as server:
        save(server, "create", "a", b"1")
        server.kill()
        server.restart()
        assert server.content("a") == b"1"
