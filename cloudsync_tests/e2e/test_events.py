"""From a bucket into a file manager with an event feed: one full scan, and then only what events name."""

from __future__ import annotations

from dataclasses import dataclass
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
    held,
    into_server,
)
from cloudsync_tests.servers import S3Server

NAME = "acme"
AT_FIRST = {
    "empty": b"",
    "a.txt": b"alpha",
    "b.txt": b"beta",
    "old name.txt": b"a content of its own",
    "photos/2025/one+two%.jpg": bytes(range(256)) * 5000,
    "secret/plans.txt": b"plans",
}


@dataclass(frozen=True, slots=True)
class Acme:
    """The integration after its initial sync."""

    deployment: Deployment
    bucket: Bucket
    server: DevServer
    initial: SyncResult

    def publish(self, kind: str, key: str, new_key: str | None = None, **metadata: str) -> None:
        self.server.publish(an_event(NAME, kind, key, new_key, **metadata))

    def sync(self, mode: Mode = Mode.INCREMENTAL) -> SyncResult:
        return self.deployment.sync(NAME, mode)

    def file(self, key: str) -> dict[str, Any]:
        return self.server.files(f"{NAME}/")[f"{NAME}/{key}"]


@pytest.fixture
def acme(deployment: Deployment, seaweedfs: S3Server, server: DevServer) -> Acme:
    bucket = a_bucket(seaweedfs, AT_FIRST)
    deployment.add(NAME, bucket.as_yaml(), into_server(server), HTTP_FEED)
    return Acme(deployment, bucket, server, deployment.sync(NAME, Mode.INITIAL))


def done(result: SyncResult) -> dict[str, int]:
    """What was done, by kind; reading permissions of what was created changes nothing."""
    assert result.execution is not None
    return {kind: count for kind, count in result.execution.done.items() if kind != "read_permissions"}


def test_the_initial_sync_scans_and_brings_every_object_over(acme: Acme) -> None:
    assert acme.initial.verdict is Verdict.IN_SYNC
    assert acme.initial.listing is not None
    assert acme.initial.listing.objects == len(AT_FIRST)
    assert held(acme.server, NAME) == AT_FIRST


def test_every_kind_of_event_brings_its_change_over_without_a_listing(acme: Acme) -> None:
    acme.bucket.put("new/c.txt", b"gamma")
    acme.publish("create", "new/c.txt")
    acme.bucket.put("a.txt", b"alpha, overwritten")
    acme.publish("create", "a.txt")
    acme.bucket.delete("b.txt")
    acme.publish("delete", "b.txt")

    result = acme.sync()

    assert (result.verdict, result.listing) == (Verdict.IN_SYNC, None)
    assert done(result) == {"create": 1, "update": 1, "delete": 1}
    assert held(acme.server, NAME) == acme.bucket.contents()


def test_renames_and_permissions_come_over_without_sending_content(acme: Acme) -> None:
    renamed, changed = acme.file("old name.txt"), acme.file("secret/plans.txt")
    acme.bucket.rename("old name.txt", "folder/new name.txt")
    acme.publish("rename", "old name.txt", "folder/new name.txt")
    acme.publish("change_permission", "secret/plans.txt", new_permissions="rw-------")

    result = acme.sync()

    assert (result.verdict, result.listing) == (Verdict.IN_SYNC, None)
    assert result.execution is not None
    assert (done(result), result.execution.bytes) == ({"move": 1, "set_permissions": 1}, 0)
    now_renamed, now_changed = acme.file("folder/new name.txt"), acme.file("secret/plans.txt")
    assert (now_renamed["internal_id"], now_renamed["saved_at"]) == (renamed["internal_id"], renamed["saved_at"])
    assert (now_changed["permissions"], now_changed["saved_at"]) == ("rw-------", changed["saved_at"])
    assert held(acme.server, NAME) == acme.bucket.contents()


def test_only_what_events_name_is_looked_at(acme: Acme) -> None:
    acme.bucket.put("announced.txt", b"one")
    acme.bucket.put("not announced.txt", b"two")
    acme.publish("create", "announced.txt")

    incremental = acme.sync()
    assert incremental.snapshot is not None
    assert incremental.snapshot.observed == 1
    assert set(held(acme.server, NAME)) == {*AT_FIRST, "announced.txt"}

    reconciled = acme.sync(Mode.RECONCILE)
    assert reconciled.snapshot is not None
    assert reconciled.snapshot.drift == 1
    assert held(acme.server, NAME) == acme.bucket.contents()


def test_events_that_are_told_again_and_out_of_order_change_nothing(acme: Acme) -> None:
    first, second = an_event(NAME, "create", "b.txt"), an_event(NAME, "delete", "b.txt")
    acme.bucket.delete("b.txt")
    acme.server.publish(second, first, second)
    assert done(acme.sync()) == {"delete": 1}

    acme.server.publish(first, second)
    again = acme.sync()

    assert done(again) == {}
    assert held(acme.server, NAME) == acme.bucket.contents()


def test_a_sync_without_changes_sends_nothing(acme: Acme) -> None:
    before = acme.server.stats()["operations"]
    for mode in (Mode.INCREMENTAL, Mode.RECONCILE):
        assert done(acme.sync(mode)) == {}
    assert acme.server.stats()["operations"] == before


def test_events_that_nobody_understands_keep_nothing_up_and_are_reported_with_the_rest(acme: Acme) -> None:
    acme.bucket.put("c.txt", b"gamma")
    acme.server.publish({"event_type": "explode", "file_path": f"{NAME}/a.txt"}, "nonsense", raw=True)
    acme.publish("create", "c.txt")

    result = acme.sync()

    assert result.events is not None
    assert (result.verdict, result.events.malformed) == (Verdict.IN_SYNC, 2)
    assert held(acme.server, NAME) == acme.bucket.contents()
    initial, incremental = acme.server.results()
    assert (initial["sync_type"], initial["success"]) == ("initial", True)
    assert initial["statistics"]["files_processed"] == len(AT_FIRST)
    assert (incremental["sync_type"], incremental["success"]) == ("incremental", True)
    assert incremental["event_counts"] == {"create": 1}
    assert incremental["statistics"]["total_size"] == len(b"gamma")
