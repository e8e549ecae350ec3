"""From a bucket into a folder, with rclone as the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.demo import rclone
from cloudsync_pipeline.demo.seaweedfs import Credentials
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.e2e.builders import Bucket, Deployment, a_bucket, into_folder
from cloudsync_tests.servers import S3Server

NAME = "acme"
AT_FIRST = {
    "empty": b"",
    "plain.txt": b"plain",
    "to be renamed.txt": b"a content of its own",
    "deep/er/and deeper/file #1 100%+?.txt": b"deep",
    "caf\u00e9 \U0001f600.txt": b"unicode",
    "large.bin": bytes(range(256)) * 40_000,
    **{f"numbers/{number:03}.txt": str(number).encode() for number in range(60)},
}


def differences(bucket: Bucket, folder: Path) -> int:
    """What rclone finds, contents read on both sides."""
    keys = Credentials(bucket.server.access_key, bucket.server.secret_key)
    return rclone.check(bucket.server.endpoint, keys, bucket.name, folder, ())


@pytest.fixture
def bucket(seaweedfs: S3Server) -> Bucket:
    return a_bucket(seaweedfs, AT_FIRST)


@pytest.fixture
def folder(deployment: Deployment, bucket: Bucket, tmp_path: Path) -> Path:
    """Where the files are after an initial sync."""
    deployment.add(NAME, bucket.as_yaml(), into_folder(tmp_path / "files"))
    assert deployment.sync(NAME, Mode.INITIAL).verdict is Verdict.IN_SYNC
    return tmp_path / "files" / NAME


def test_rclone_finds_no_difference_after_an_initial_sync(bucket: Bucket, folder: Path) -> None:
    assert differences(bucket, folder) == 0
    (folder / "plain.txt").write_bytes(b"PLAIN")
    assert differences(bucket, folder) == 1


def test_rclone_finds_no_difference_after_a_scan_of_changes(
    deployment: Deployment, bucket: Bucket, folder: Path
) -> None:
    bucket.put("plain.txt", b"overwritten")
    bucket.put("new/file.txt", b"new")
    bucket.rename("to be renamed.txt", "renamed/file.txt")
    bucket.delete("empty", *(f"numbers/{number:03}.txt" for number in range(10)))
    assert differences(bucket, folder) > 0

    result = deployment.sync(NAME, Mode.RECONCILE)

    assert result.execution is not None
    assert result.execution.done == {"create": 1, "update": 1, "move": 1, "delete": 11}
    assert differences(bucket, folder) == 0
