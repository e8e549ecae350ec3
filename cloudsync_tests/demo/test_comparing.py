"""The comparison of the demonstration notices what differs; so does rclone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline import devserver
from cloudsync_pipeline.demo import rclone
from cloudsync_pipeline.demo.comparing import Comparison, Download, Folder, compare
from cloudsync_pipeline.demo.seaweedfs import Credentials
from cloudsync_tests.servers import S3Server

MANY = b"x" * (2 * 1024 * 1024 + 17)
"""More than one piece of what is read at once."""


@dataclass(frozen=True, slots=True)
class Ends:
    """A bucket and a folder that hold the same."""

    server: S3Server
    bucket: str
    folder: Path

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def write(self, path: str, content: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    @property
    def client(self) -> Any:
        return self.server.client()

    def compared(self, quarantined: dict[str, str] | None = None) -> Comparison:
        return compare(self.client, self.bucket, Folder(self.folder), quarantined or {})

    def rclone(self, *left_out: str) -> int:
        credentials = Credentials(self.server.access_key, self.server.secret_key)
        return rclone.check(self.server.endpoint, credentials, self.bucket, self.folder, left_out)


@pytest.fixture
def ends(seaweedfs: S3Server, tmp_path: Path) -> Ends:
    one = Ends(seaweedfs, seaweedfs.new_bucket(), tmp_path)
    for key, content in {"a.txt": b"alpha", "b/c d+.txt": b"", "large": MANY}.items():
        one.put(key, content)
        one.write(key, content)
    return one


def test_equal_ends_are_equal(ends: Ends) -> None:
    found = ends.compared()
    assert (found.equal, found.bytes, found.differing) == (3, len(MANY) + 5, {})
    assert ends.rclone() == 0


@pytest.mark.parametrize("at", [0, 1024 * 1024, len(MANY) - 1])
def test_one_byte_that_differs_is_found(ends: Ends, at: int) -> None:
    ends.write("large", MANY[:at] + b"y" + MANY[at + 1 :])
    assert list(ends.compared().differing) == ["large"]


@pytest.mark.parametrize("content", [MANY + b"x", MANY[:-1], b""])
def test_another_length_is_found(ends: Ends, content: bytes) -> None:
    ends.write("large", content)
    assert list(ends.compared().differing) == ["large"]


def test_what_is_missing_and_what_is_too_much_is_found(ends: Ends) -> None:
    ends.put("only in the bucket", b"1")
    ends.write("only in the folder", b"1")
    assert set(ends.compared().differing) == {"only in the bucket", "only in the folder"}


def test_what_cannot_be_held_is_left_out_and_told(ends: Ends) -> None:
    ends.put("folder/", b"")
    found = ends.compared({"folder/": "it ends with a slash"})
    assert found.differing == {}
    assert found.left_out == {"folder/": "it ends with a slash"}


def test_what_is_said_to_be_quarantined_and_is_there_is_compared(ends: Ends) -> None:
    ends.write("a.txt", b"other")
    assert list(ends.compared({"a.txt": "so they say"}).differing) == ["a.txt"]


def test_a_devserver_is_compared_by_its_downloads(ends: Ends, tmp_path: Path) -> None:
    with devserver.running(tmp_path / "devserver") as server:
        side = Download(server, "acme")
        found = compare(ends.client, ends.bucket, side, {})
    assert len(found.differing) == 3


def test_rclone_finds_what_differs(ends: Ends) -> None:
    ends.write("a.txt", b"ALPHA")
    ends.put("missing", b"1")
    assert ends.rclone() == 2


def test_rclone_takes_a_name_with_wildcards_for_that_name_alone(ends: Ends) -> None:
    ends.put("*.t[x]t", b"1")
    assert ends.rclone() == 1
    assert ends.rclone("*.t[x]t") == 0
    ends.write("a.txt", b"ALPHA")
    assert ends.rclone("*.t[x]t") == 1
