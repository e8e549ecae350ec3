"""What each operation does, and what it answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import download, permissions, save


def test_create_stores_the_content_and_tells_all_about_it(server: DevServer) -> None:
    reply = save(server, "create", "ops/new.txt", b"hello", file_type="text/plain", metadata='{"a": "1"}')

    assert reply.status == 200
    told = reply.json
    assert told["internal_id"]
    assert told["operation"] == "create"
    assert told["file_path"] == "ops/new.txt"
    assert told["new_path"] is None
    assert told["size"] == 5
    assert told["status"] == "created"
    assert told["metadata"] == {"a": "1"}
    assert told["file_type"] == "text/plain"
    assert told["content_md5"] == hashlib.md5(b"hello").hexdigest()
    assert datetime.now(UTC) - datetime.fromisoformat(told["saved_at"]) < timedelta(minutes=1)
    assert server.content("ops/new.txt") == b"hello"


def test_create_on_an_existing_path_replaces_and_keeps_the_id(server: DevServer) -> None:
    first = save(server, "create", "ops/again", b"one").json
    second = save(server, "create", "ops/again", b"two").json

    assert second["internal_id"] == first["internal_id"]
    assert second["status"] == "updated"
    assert server.content("ops/again") == b"two"


def test_update_replaces_the_content_and_keeps_id_permissions_and_metadata(server: DevServer) -> None:
    first = save(server, "create", "ops/updated", b"one", metadata='{"kept": "yes"}').json
    permissions(server, "ops/updated", permissions="rwx------", owner="ann")

    second = save(server, "update", "ops/updated", b"longer").json

    assert second["internal_id"] == first["internal_id"]
    assert (second["size"], second["status"]) == (6, "updated")
    assert second["metadata"] == {"kept": "yes"}
    assert (second["permissions"], second["owner"]) == ("rwx------", "ann")
    assert server.content("ops/updated") == b"longer"


def test_an_empty_file_is_a_file(server: DevServer) -> None:
    assert save(server, "create", "ops/empty", b"").json["size"] == 0
    assert server.content("ops/empty") == b""


@pytest.mark.parametrize("operation", ["rename", "move"])
def test_rename_and_move_keep_id_and_content(server: DevServer, operation: str) -> None:
    first = save(server, "create", f"ops/{operation}/old", b"content").json
    reply = save(server, operation, f"ops/{operation}/old", new_path=f"ops/{operation}/new")

    assert reply.status == 200
    assert reply.json["file_path"] == f"ops/{operation}/old"
    assert reply.json["new_path"] == f"ops/{operation}/new"
    assert reply.json["internal_id"] == first["internal_id"]
    assert reply.json["status"] == f"{operation}d"
    assert save(server, "get", f"ops/{operation}/old").status == 404
    assert server.content(f"ops/{operation}/new") == b"content"


def test_a_move_replaces_what_stood_at_the_target(server: DevServer) -> None:
    moved = save(server, "create", "ops/over/a", b"a").json
    save(server, "create", "ops/over/b", b"b")

    save(server, "move", "ops/over/a", new_path="ops/over/b")

    assert list(server.files("ops/over/")) == ["ops/over/b"]
    assert server.files("ops/over/")["ops/over/b"]["internal_id"] == moved["internal_id"]
    assert server.content("ops/over/b") == b"a"


def test_a_move_to_its_own_path_changes_nothing(server: DevServer) -> None:
    first = save(server, "create", "ops/same", b"a").json
    assert save(server, "move", "ops/same", new_path="ops/same").json["internal_id"] == first["internal_id"]
    assert server.content("ops/same") == b"a"


def test_delete_removes_the_file(server: DevServer) -> None:
    save(server, "create", "ops/gone", b"a")

    reply = save(server, "delete", "ops/gone")

    assert (reply.status, reply.json["status"]) == (200, "deleted")
    assert save(server, "get", "ops/gone").status == 404
    assert download(server, "ops/gone").status == 404


def test_a_file_created_again_after_its_delete_has_another_id(server: DevServer) -> None:
    first = save(server, "create", "ops/reborn", b"a").json
    save(server, "delete", "ops/reborn")
    assert save(server, "create", "ops/reborn", b"a").json["internal_id"] != first["internal_id"]


def test_get_answers_what_is_known(server: DevServer) -> None:
    created = save(server, "create", "ops/known", b"abc", metadata='{"a": "b"}').json
    found = save(server, "get", "ops/known").json
    assert found == {**created, "operation": "get", "status": "found"}


@pytest.mark.parametrize(
    ("operation", "content", "fields"),
    [
        ("update", b"x", {}),
        ("rename", None, {"new_path": "ops/elsewhere"}),
        ("move", None, {"new_path": "ops/elsewhere"}),
        ("delete", None, {}),
        ("get", None, {}),
    ],
)
def test_a_missing_file_is_not_found(
    server: DevServer, operation: str, content: bytes | None, fields: dict[str, str]
) -> None:
    reply = save(server, operation, "ops/missing", content, **fields)
    assert (reply.status, reply.code) == (404, "not_found")
    assert reply.json["file_path"] == "ops/missing"


def test_a_new_file_has_the_servers_default_permissions(server: DevServer) -> None:
    save(server, "create", "ops/default", b"a")
    reply = permissions(server, "ops/default")
    assert reply.status == 200
    assert {name: reply.json[name] for name in ("file_path", "permissions", "owner", "group")} == {
        "file_path": "ops/default",
        "permissions": "rw-r--r--",
        "owner": "files",
        "group": "files",
    }


def test_permissions_are_set_one_by_one_and_read_back(server: DevServer) -> None:
    before = save(server, "create", "ops/mode", b"a").json

    permissions(server, "ops/mode", permissions="rwxr-x---")
    permissions(server, "ops/mode", group="staff")
    reply = permissions(server, "ops/mode", owner="ann")

    assert (reply.json["permissions"], reply.json["owner"], reply.json["group"]) == ("rwxr-x---", "ann", "staff")
    assert reply.json["last_updated"] > before["last_updated"]
    assert permissions(server, "ops/mode").json == reply.json
    assert server.content("ops/mode") == b"a"


def test_permissions_follow_a_move(server: DevServer) -> None:
    save(server, "create", "ops/follow/a", b"a")
    permissions(server, "ops/follow/a", permissions="r--------")
    save(server, "move", "ops/follow/a", new_path="ops/follow/b")
    assert permissions(server, "ops/follow/b").json["permissions"] == "r--------"


def test_permissions_of_a_missing_file_are_not_found(server: DevServer) -> None:
    assert permissions(server, "ops/nobody").status == 404
    assert permissions(server, "ops/nobody", owner="ann").status == 404


def test_health_declares_what_the_server_can_do(server: DevServer) -> None:
    told = server.call("GET", "/")
    assert told["status"] == "ok"
    assert told["capabilities"] == {
        "atomic_put": True,
        "move": True,
        "delete": True,
        "probe": True,
        "permissions": True,
        "list": True,
        "read": True,
        "content_hash": True,
        "stable_ids": True,
        "folders_are_files": True,
        "case_sensitive": True,
        "max_path_bytes": 4096,
    }


def test_stats_count_files_bytes_and_operations(own_server: DevServer) -> None:
    before = Counter(own_server.stats()["operations"])
    save(own_server, "create", "a", b"123")
    save(own_server, "create", "b", b"45")
    save(own_server, "delete", "b")
    save(own_server, "delete", "b")

    stats = own_server.stats()

    assert (stats["files"], stats["bytes"]) == (1, 3)
    assert Counter(stats["operations"]) - before == {"create": 2, "delete": 1}
