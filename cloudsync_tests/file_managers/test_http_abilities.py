"""Which abilities are believed, and which paths are dared with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import ConfigError, PathRejected
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager, HttpApiSettings
from cloudsync_tests.contracts.file_manager import an_upload
from cloudsync_tests.file_managers.http_servers import against, honest
from cloudsync_tests.scripted import Asked, Reply


def greeted(greeting: bytes, **settings: Any) -> FileManagerCapabilities:
    """The abilities learnt from a greeting."""

    async def learnt(manager: HttpApiFileManager) -> FileManagerCapabilities:
        return manager.capabilities

    capabilities: FileManagerCapabilities = against(lambda _: Reply(body=greeting), learnt, **settings)[0]
    return capabilities


def declaring(**capabilities: object) -> bytes:
    return json.dumps({"status": "ok", "capabilities": capabilities}).encode()


@pytest.mark.parametrize("greeting", [b"", b"OK", b"{}", b"[]", b'{"capabilities": ["move"]}', b"\xff", b"[" * 100_000])
def test_without_a_declaration_only_the_api_is_believed(greeting: bytes) -> None:
    assert greeted(greeting) == FileManagerCapabilities(
        atomic_put=False,
        move=True,
        delete=True,
        probe=True,
        permissions=True,
        list=False,
        read=False,
        content_hash=False,
        stable_ids=False,
    )


def test_what_is_declared_is_believed() -> None:
    found = greeted(declaring(atomic_put=True, move=False, list=True, max_name_bytes=100))

    assert (found.atomic_put, found.move, found.list, found.max_name_bytes) == (True, False, True, 100)


def test_a_declaration_that_makes_no_sense_is_left_out() -> None:
    assert greeted(declaring(atomic_put="yes", move=0, teleport=True, max_name_bytes=-1)) == greeted(b"")


def test_configuration_wins() -> None:
    found = greeted(declaring(atomic_put=True, list=True), capabilities={"list": False, "stable_ids": True})

    assert (found.atomic_put, found.list, found.stable_ids) == (True, False, True)


def test_a_limit_of_paths_counts_the_prefix() -> None:
    assert greeted(declaring(max_path_bytes=100)).max_path_bytes == 100 - len("tenant/")


@pytest.mark.parametrize(
    "capabilities", [{"teleport": True}, {"move": "yes"}, {"max_path_bytes": True}, {"list": None}]
)
def test_a_capability_that_means_nothing_is_a_configuration_error(capabilities: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(capabilities))):
        HttpApiSettings("http://files.example", capabilities=capabilities)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "/a", "a//b", "."])
def test_a_prefix_that_leads_elsewhere_is_a_configuration_error(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        HttpApiFileManager(HttpApiSettings("http://files.example", prefix))


def put_at(path: str, greeting: bytes, **settings: Any) -> list[str]:
    """The calls that an upload to `path` makes."""

    def script(asked: Asked) -> Reply:
        return Reply(body=greeting if asked.target == "/" else json.dumps(honest(asked)).encode())

    _, asked = against(script, lambda manager: manager.put(path, an_upload(b"x")), **settings)
    return [each.target for each in asked]


@pytest.mark.parametrize("path", ["../other/x", "a/../../x", "a//b", "/a", "dir/", "./a", ".."])
def test_a_path_that_an_unknown_server_might_resolve_is_not_dared(path: str) -> None:
    with pytest.raises(PathRejected):
        put_at(path, b"{}")
    assert put_at(path, b"{}", opaque_paths=True) == ["/", "/saveToDisk"]
    assert put_at(path, declaring(folders_are_files=True)) == ["/", "/saveToDisk"]
    with pytest.raises(PathRejected):
        put_at(path, declaring(folders_are_files=False))
