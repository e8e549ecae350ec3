"""Two integrations never write into the same place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.config import Fleet
from cloudsync_tests.config.builders import error_of, load


def at(url: str, prefix: str | None = None) -> str:
    return _integration(f"{{type: http_api, url: '{url}'}}", prefix)


def in_folder(path: Path, prefix: str | None = None) -> str:
    return _integration(f"{{type: local, path: '{path}'}}", prefix)


def _integration(file_manager: str, prefix: str | None) -> str:
    destination = "" if prefix is None else f"destination_prefix: '{prefix}'"
    return f"storage: {{type: memory}}\nfile_manager: {file_manager}\n{destination}\n"


def assert_overlap(fleet: Fleet) -> None:
    for name, other in (("acme", "globex"), ("globex", "acme")):
        error = error_of(fleet, name)
        assert f"the destinations of {name!r}" in error
        assert repr(other) in error
        assert "overlap" in error
        assert "destination_prefix" in error


def test_by_default_each_integration_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, acme=at("http://f"), globex=at("http://f")).errors == {}


@pytest.mark.parametrize(
    ("one", "two"), [("shared", "shared"), ("shared", "shared/inner"), ("a/b/c", "a"), ("", "globex"), ("", "")]
)
def test_a_prefix_in_another_is_an_error_of_both(tmp_path: Path, one: str, two: str) -> None:
    assert_overlap(load(tmp_path, acme=at("http://f", one), globex=at("http://f", two)))


@pytest.mark.parametrize(("one", "two"), [("acme", "acme-2"), ("a/b", "a/c"), ("b", "a/b")])
def test_prefixes_that_only_look_alike_are_apart(tmp_path: Path, one: str, two: str) -> None:
    assert load(tmp_path, acme=at("http://f", one), globex=at("http://f", two)).errors == {}


@pytest.mark.parametrize(
    ("one", "two"),
    [("http://f", "http://F/"), ("http://f", "http://f:80"), ("https://f/api", "https://f:443/api/")],
)
def test_one_file_manager_has_many_spellings(tmp_path: Path, one: str, two: str) -> None:
    assert_overlap(load(tmp_path, acme=at(one, "x"), globex=at(two, "x")))


@pytest.mark.parametrize(
    ("one", "two"), [("http://f", "http://g"), ("http://f/a", "http://f/b"), ("http://f:1", "http://f:2")]
)
def test_other_file_managers_are_apart(tmp_path: Path, one: str, two: str) -> None:
    assert load(tmp_path, acme=at(one, "x"), globex=at(two, "x")).errors == {}


def test_a_folder_in_another_is_an_error_of_both(tmp_path: Path) -> None:
    inner = tmp_path / "files" / "acme" / "inbox"

    assert_overlap(load(tmp_path, acme=in_folder(tmp_path / "files"), globex=in_folder(inner, "")))


def test_a_folder_reached_by_a_link_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "files")

    assert_overlap(load(tmp_path, acme=in_folder(tmp_path / "files", "x"), globex=in_folder(tmp_path / "link", "x")))


def test_folders_side_by_side_are_apart(tmp_path: Path) -> None:
    assert load(tmp_path, acme=in_folder(tmp_path / "files"), globex=in_folder(tmp_path / "files")).errors == {}


def test_an_overlap_stops_no_other_integration(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=at("http://f", "x"), globex=at("http://f", "x/y"), initech=at("http://f"))

    assert list(fleet.integrations) == ["initech"]


def reading(queue: str, shared: bool = False) -> str:
    feed = f"feed: {{type: sqs, queue_url: 'https://sqs.eu-central-1.amazonaws.com/1/{queue}', shared: {shared}}}\n"
    return _integration("{type: memory}", None) + feed


@pytest.mark.parametrize(("one", "two"), [(False, False), (True, False)])
def test_two_that_would_empty_one_queue_are_an_error_of_both(tmp_path: Path, one: bool, two: bool) -> None:
    fleet = load(tmp_path, acme=reading("q", one), globex=reading("q", two))
    for name in ("acme", "globex"):
        assert "'acme', 'globex' read the same queue" in error_of(fleet, name)
        assert "shared: true" in error_of(fleet, name)


def test_a_queue_may_be_shared_by_all_who_say_so(tmp_path: Path) -> None:
    assert load(tmp_path, acme=reading("q", True), globex=reading("q", True)).errors == {}
    assert load(tmp_path, acme=reading("q"), globex=reading("p")).errors == {}
