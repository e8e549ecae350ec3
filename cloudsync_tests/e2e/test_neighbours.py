"""Two customers with the same file names on one file manager never touch each other's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_tests.e2e.builders import (
    HTTP_FEED,
    Bucket,
    Deployment,
    a_bucket,
    an_event,
    into_folder,
    into_server,
)
from cloudsync_tests.servers import S3Server

ONE, TWO = "acme", "acme-two"
"""The name of one is the beginning of the other's: a careless comparison of prefixes would mix them up."""
KEYS = ("report.txt", "photos/one.jpg", "photos/two.jpg", "to be renamed.txt")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Both integrations, synced for the first time.

    Attributes:
        files: what the file manager itself knows of each file of an integration: content, identity, time of storing.
        announce: tell the shared feed, where there is one.
    """

    deployment: Deployment
    buckets: dict[str, Bucket]
    files: Callable[[str], dict[str, Any]]
    announce: Callable[..., None]
    mode: Mode

    def contents(self, name: str) -> dict[str, bytes]:
        return {key: known[0] for key, known in self.files(name).items()}

    def sync(self, name: str) -> SyncResult:
        return self.deployment.sync(name, self.mode)


@pytest.fixture(params=["http_api", "local"])
def neighbours(
    request: pytest.FixtureRequest, deployment: Deployment, seaweedfs: S3Server, server: DevServer, tmp_path: Path
) -> Neighbours:
    buckets = {name: a_bucket(seaweedfs, {key: f"{key} of {name}".encode() for key in KEYS}) for name in (ONE, TWO)}
    if request.param == "local":
        root = tmp_path / "files"

        def on_disk(name: str) -> dict[str, Any]:
            found = ((one, one.stat()) for one in (root / name).rglob("*") if one.is_file())
            return {
                str(one.relative_to(root / name)): (one.read_bytes(), seen.st_ino, seen.st_mtime_ns)
                for one, seen in found
            }

        for name, bucket in buckets.items():
            deployment.add(name, bucket.as_yaml(), into_folder(root))
        return _synced(Neighbours(deployment, buckets, on_disk, lambda *_: None, Mode.RECONCILE))

    def on_server(name: str) -> dict[str, Any]:
        return {
            path.removeprefix(f"{name}/"): (server.content(path), file["internal_id"], file["saved_at"])
            for path, file in server.files(f"{name}/").items()
        }

    for name, bucket in buckets.items():
        deployment.add(name, bucket.as_yaml(), into_server(server), HTTP_FEED)
    return _synced(
        Neighbours(deployment, buckets, on_server, lambda *told: server.publish(an_event(*told)), Mode.INCREMENTAL)
    )


def _synced(both: Neighbours) -> Neighbours:
    for name in (ONE, TWO):
        assert both.deployment.sync(name, Mode.INITIAL).verdict is Verdict.IN_SYNC
    for name in (ONE, TWO):
        assert both.contents(name) == {key: f"{key} of {name}".encode() for key in KEYS}
    return both


def test_changes_of_one_leave_files_identities_and_state_of_the_other_alone(neighbours: Neighbours) -> None:
    bucket = neighbours.buckets[ONE]
    files = neighbours.files(TWO)
    believed = neighbours.deployment.believed(TWO)
    snapshot = neighbours.deployment.snapshot(TWO)

    bucket.put("report.txt", b"overwritten")
    neighbours.announce(ONE, "create", "report.txt")
    bucket.put("new.txt", b"new")
    neighbours.announce(ONE, "create", "new.txt")
    bucket.delete("photos/one.jpg")
    neighbours.announce(ONE, "delete", "photos/one.jpg")
    bucket.rename("to be renamed.txt", "renamed.txt")
    neighbours.announce(ONE, "rename", "to be renamed.txt", "renamed.txt")
    result = neighbours.sync(ONE)

    assert result.verdict is Verdict.IN_SYNC
    assert neighbours.contents(ONE) == bucket.contents()
    assert neighbours.files(TWO) == files
    assert neighbours.deployment.believed(TWO) == believed
    assert neighbours.deployment.snapshot(TWO) == snapshot

    # The other's own sync, which reads the same feed, finds nothing to do in that.
    theirs = neighbours.sync(TWO)
    assert theirs.execution is not None
    assert theirs.execution.done == {}
    assert neighbours.files(TWO) == files


def test_a_customer_that_deletes_everything_takes_nothing_of_the_other_along(neighbours: Neighbours) -> None:
    files = neighbours.files(TWO)
    bucket = neighbours.buckets[ONE]
    bucket.delete(*KEYS[:3])
    neighbours.deployment.sync(ONE, Mode.RECONCILE)
    assert set(neighbours.files(ONE)) == {KEYS[3]}
    assert neighbours.files(TWO) == files
