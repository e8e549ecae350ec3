"""Any text is a path: it never becomes a path on the server's own disk."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import permissions, save, stored
from cloudsync_tests.hostile_keys import HOSTILE_KEYS

PATHS = [(hostile.name, hostile.raw) for hostile in HOSTILE_KEYS] + [
    ("a form's boundary", "--boundary"),
    ("the index itself", "index.sqlite"),
    ("longer than a key may be", "k" * 4096),
    ("as long, and three times as long in an address", "\u00e9" * 2048),
]


@pytest.mark.parametrize("path", [raw for _, raw in PATHS], ids=[name for name, _ in PATHS])
def test_a_hostile_path_lives_a_whole_life(server: DevServer, path: str) -> None:
    created = save(server, "create", path, b"one").json
    assert created["file_path"] == path
    assert save(server, "move", path, new_path="parked").json["new_path"] == "parked"
    assert save(server, "move", "parked", new_path=path).json["new_path"] == path
    assert save(server, "update", path, b"two").json["internal_id"] == created["internal_id"]
    assert permissions(server, path).json["file_path"] == path
    assert path in server.files(path)
    assert server.content(path) == b"two"
    assert save(server, "delete", path).status == 200
    assert save(server, "get", path).status == 404


def test_paths_that_differ_in_any_byte_are_different_files(own_server: DevServer) -> None:
    paths = ["a", "A", "a/", "a/b", "/a", "a//b", "\u00e9", "e\u0301", "a ", " a"]
    for number, path in enumerate(paths):
        save(own_server, "create", path, str(number).encode())

    assert set(own_server.files()) == set(paths)
    assert [own_server.content(path) for path in paths] == [str(n).encode() for n in range(len(paths))]
    assert stored(own_server) == len(paths)
