"""A storage, or the line to it, that fails in every way: nothing wrong is stored, nothing is concluded from a doubt.

One sync meets many faults at once, each at an object of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cloudsync_pipeline.engine.results import Verdict
from cloudsync_tests.e2e.builders import Bucket, a_bucket, a_deployment, into_folder
from cloudsync_tests.reliability.faults_case import Case
from cloudsync_tests.reliability.faults_proxy import Answer, Cut, Fault, Request, Rule, proxy
from cloudsync_tests.reliability.kills_world import NAME, Folder
from cloudsync_tests.servers import S3Server

LARGE = bytes(range(256)) * 4_000
SLOW_DOWN = Answer(
    503,
    (("Content-Type", "application/xml"), ("Retry-After", "1")),
    b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>",
)


@dataclass
class FromBucket(Case):
    """A bucket behind a proxy, synced into a folder."""

    bucket: Bucket


@pytest.fixture
def case(tmp_path: Path, seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FromBucket]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    bucket = a_bucket(seaweedfs, {"good": b"good"})
    with proxy(seaweedfs.endpoint) as between:
        deployment = a_deployment(tmp_path / "deployment")
        through = replace(bucket, server=replace(seaweedfs, endpoint=between.url))
        deployment.add(NAME, through.as_yaml(), into_folder(tmp_path / "files"))
        yield FromBucket(deployment, Folder(tmp_path / "files"), between, bucket)


def key_of(request: Request) -> str | None:
    """The object that a request reads."""
    path = unquote(urlsplit(request.target).path)
    return path.split("/", 2)[2] if request.method == "GET" and path.count("/") > 1 and path[-1] != "/" else None


def listing(request: Request) -> bool:
    return "list-type=2" in request.target


def other_bytes(real: Answer) -> Answer:
    """As long as it should be, and not what it should be."""
    return replace(real, body=real.body[:-1] + bytes([real.body[-1] ^ 1]))


def shorter(real: Answer) -> Answer:
    """Whole by its own account."""
    kept = tuple((name, value) for name, value in real.headers if name.lower() != "content-length")
    return replace(real, headers=kept, body=real.body[:-1000])


def other_version(real: Answer) -> Answer:
    """What a storage gives that does not know If-Match."""
    headers = tuple((name, '"0123"' if name.lower() == "etag" else value) for name, value in real.headers)
    return replace(real, headers=headers)


READS: dict[str, Fault] = {
    "503 SlowDown": Fault(instead=SLOW_DOWN),
    "500": Fault(instead=Answer(500, (), b"")),
    "reset before the answer": Fault(cut_answer=0),
    "reset amid the body": Fault(cut_answer=600_000),
    "body cut short": Fault(cut_answer=600_000, how=Cut.CLOSED),
    "body shorter by its own account": Fault(answer=shorter),
    "wrong bytes": Fault(answer=other_bytes),
    "another version": Fault(answer=other_version),
}


def first_read(faults: dict[str, Fault]) -> Rule:
    """The first read of each object meets its fault."""
    left = dict(faults)
    return lambda request: left.pop(key_of(request) or "", None)


def test_a_read_that_fails_once_is_made_good_in_the_same_run(case: FromBucket) -> None:
    def changing(key: str) -> Callable[[], None]:
        return lambda: case.bucket.put(key, LARGE[::-1])

    for name in (*READS, "changes before it is read", "goes before it is read"):
        case.bucket.put(name, LARGE + name.encode())
    case.between.rule = first_read(
        READS
        | {
            "changes before it is read": Fault(before=changing("changes before it is read")),
            "goes before it is read": Fault(before=lambda: case.bucket.delete("goes before it is read")),
        }
    )

    ran = case.command("initial-sync", "--direct")

    assert ran.code == 0, ran.out
    assert "failed" not in ran.out
    objects = case.bucket.contents()
    assert "goes before it is read" not in objects
    assert objects["changes before it is read"] == LARGE[::-1]
    case.require_in_step(objects)
    reads = [key_of(request) for request in case.between.seen]
    assert {name: reads.count(name) for name in READS} == dict.fromkeys(READS, 2)


def test_a_read_that_keeps_failing_leaves_the_old_content_and_is_owed(case: FromBucket) -> None:
    for name in READS:
        case.bucket.put(name, LARGE + name.encode())
    assert case.sync().verdict is Verdict.IN_SYNC
    before = case.destination.contents()
    for name in READS:
        case.bucket.put(name, LARGE[::-1] + name.encode())
    case.bucket.put("new", b"new")
    case.between.rule = lambda request: READS.get(key_of(request) or "")

    ran = case.command("reconcile", "--direct", "--json")

    assert ran.code == 3, ran.err
    assert case.destination.contents() == before | {"new": b"new"}
    assert case.destination.rest() == []
    assert case.owed() == sorted(READS)
    [ended] = ran.json()["integrations"]
    # Another version is no failure: its key is looked at again, and stays owed.
    assert {one["path"] for one in ended["result"]["execution"]["failures"]} == set(READS) - {"another version"}
    case.between.rule = lambda _: None
    assert case.sync().verdict is Verdict.IN_SYNC
    case.require_in_step(case.bucket.contents())


def test_a_page_of_a_listing_that_fails_is_asked_for_again(case: FromBucket) -> None:
    left = [
        Fault(instead=SLOW_DOWN),
        Fault(cut_answer=200),
        Fault(answer=lambda real: replace(real, headers=(), body=real.body[: len(real.body) // 2])),
    ]
    case.between.rule = lambda request: left.pop() if left and listing(request) else None
    assert case.sync().verdict is Verdict.IN_SYNC
    assert left == []
    case.require_in_step({"good": b"good"})


def test_a_listing_that_breaks_off_concludes_nothing(case: FromBucket) -> None:
    case.bucket.put("gone", b"gone")
    assert case.sync().verdict is Verdict.IN_SYNC
    before = case.destination.marks()
    case.bucket.delete("gone")
    denied = Fault(instead=Answer(403, (), b"<Error><Code>AccessDenied</Code></Error>"))
    case.between.rule = lambda request: denied if listing(request) else None

    ran = case.command("reconcile", "--direct")

    assert ran.code == 6, ran.err
    assert case.destination.marks() == before
    case.between.rule = lambda _: None
    assert case.sync().verdict is Verdict.IN_SYNC
    case.require_in_step({"good": b"good"})
