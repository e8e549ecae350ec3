"""A file manager, or the line to it, that fails in every way: what becomes of it is a retry or a debt, never a lie.

One sync meets many faults at once, each at a file of its own: a file's fate is no other file's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Verdict
from cloudsync_tests.devserver.client import save
from cloudsync_tests.e2e.builders import Bucket, a_bucket, a_deployment
from cloudsync_tests.reliability.faults_case import Case
from cloudsync_tests.reliability.faults_proxy import Answer, Cut, Fault, Request, Rule, proxy
from cloudsync_tests.reliability.kills_world import NAME, Server
from cloudsync_tests.servers import S3Server

LARGE = b"0123456789abcdef" * 100_000
"""More than is gathered before it is sent."""
NO_JSON = Answer(200, (("Content-Type", "text/html"),), b"<html>hello</html>")
CHANGES = ("create", "update", "rename", "move", "delete")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with devserver.running(tmp_path_factory.mktemp("file-manager"), fsync=False) as server:
        yield server


@dataclass
class ToServer(Case):
    """A bucket, synced through a proxy."""

    bucket: Bucket
    server: DevServer

    def configure(self, more: str = "") -> None:
        self.deployment.add(
            NAME,
            self.bucket.as_yaml(),
            f"file_manager: {{type: http_api, url: '{self.between.url}'{more}}}\n",
            "policy: {read_permissions: false}\n",
        )


@pytest.fixture
def case(tmp_path: Path, seaweedfs: S3Server, server: DevServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToServer]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for path in server.files():
        save(server, "delete", path)
    server.call("DELETE", "/admin/results")
    bucket = a_bucket(seaweedfs, {"good.txt": b"good"})
    with proxy(server.url) as between:
        case = ToServer(a_deployment(tmp_path / "deployment"), Server(server), between, bucket, server)
        case.configure()
        yield case


def at_first(faults: dict[str, Fault]) -> Rule:
    """The first change of each file meets its fault."""
    left = dict(faults)
    return lambda request: (
        left.pop(request.path.removeprefix(f"{NAME}/"), None) if request.operation in CHANGES else None
    )


def always(faults: dict[str, Fault]) -> Rule:
    """Every change of each file meets its fault."""
    return lambda request: faults.get(_file(request))


def _file(request: Request) -> str:
    """The file that a request changes; "" for other requests."""
    return request.path.removeprefix(f"{NAME}/") if request.operation in CHANGES else ""


def told(**changes: object) -> Fault:
    """It is done, and the answer says otherwise."""

    def changed(real: Answer) -> Answer:
        return replace(real, body=json.dumps(json.loads(real.body) | changes).encode(), headers=())

    return Fault(answer=changed)


NOT_DONE = {
    "500": Fault(instead=Answer(500, (), b"out of order")),
    "503": Fault(instead=Answer(503, (), b"out of order")),
    "429 with Retry-After": Fault(instead=Answer(429, (("Retry-After", "2"),), b"slow down")),
    "garbage in place of storing": Fault(instead=NO_JSON),
}
DONE = {
    "garbage after storing": Fault(answer=lambda _: NO_JSON),
    "answer lost by a reset": Fault(cut_answer=0),
    "answer lost by a close": Fault(cut_answer=0, how=Cut.CLOSED),
    "answer reset amid its body": Fault(cut_answer=20),
    "answer closed amid its body": Fault(cut_answer=20, how=Cut.CLOSED),
    "another size": told(size=3),
    "another hash": told(content_md5="0" * 32),
    "no id": told(internal_id=None),
    "a failure within a 200": told(status="failed"),
    "another path": told(file_path=f"{NAME}/another.txt"),
}


def test_a_bad_exchange_is_made_good_in_the_same_run_and_what_was_stored_is_not_sent_again(case: ToServer) -> None:
    for name in (*NOT_DONE, *DONE):
        case.bucket.put(name, f"content of {name}".encode())
    case.between.rule = at_first(NOT_DONE | DONE)
    began = time.monotonic()

    result = case.sync()

    assert result.verdict is Verdict.IN_SYNC, result.execution
    case.require_in_step(case.bucket.contents())
    sent = case.between.calls("create", "update")
    assert {name: sent.count(f"{NAME}/{name}") for name in NOT_DONE} == dict.fromkeys(NOT_DONE, 2)
    assert {name: sent.count(f"{NAME}/{name}") for name in DONE} == dict.fromkeys(DONE, 1)
    assert time.monotonic() - began >= 2
    [report] = case.server.results()
    assert report["success"] is True


def test_moves_deletes_and_large_updates_that_break_amid_are_done_once_and_whole(case: ToServer) -> None:
    case.bucket.put("large", LARGE)
    for name in ("lost move", "garbled move", "lost delete", "garbled delete"):
        case.bucket.put(name, f"content of {name}".encode())
    assert case.sync().verdict is Verdict.IN_SYNC
    ids = {path: file["internal_id"] for path, file in case.server.files(f"{NAME}/").items()}
    case.bucket.put("large", LARGE[::-1])
    for name in ("lost move", "garbled move"):
        case.bucket.rename(name, f"{name}, moved")
    case.bucket.delete("lost delete", "garbled delete")
    lost, garbled = Fault(cut_answer=0), Fault(answer=lambda _: NO_JSON)
    broken = at_first({"lost move": lost, "garbled move": garbled, "lost delete": lost, "garbled delete": garbled})
    seen: list[bytes] = []

    def rule(request: Request) -> Fault | None:
        if request.path != f"{NAME}/large" or seen:
            return broken(request)
        return Fault(cut_request=len(LARGE) // 2, then=lambda: seen.append(case.server.content(request.path)))

    case.between.rule, case.between.cuts = rule, True
    case.between.seen.clear()

    result = case.sync()

    assert result.verdict is Verdict.IN_SYNC, result.execution
    assert seen == [LARGE]
    case.require_in_step(case.bucket.contents())
    assert set(case.between.calls("create", "update")) == {f"{NAME}/large"}
    files = case.server.files(f"{NAME}/")
    for name in ("lost move", "garbled move"):
        assert files[f"{NAME}/{name}, moved"]["internal_id"] == ids[f"{NAME}/{name}"]


def test_what_keeps_failing_is_owed_told_and_paid_when_it_is_over(case: ToServer) -> None:
    faults = {
        "500": NOT_DONE["500"],
        "429": Fault(instead=Answer(429, (("Retry-After", "3600"),), b"later")),
        "garbage": NOT_DONE["garbage in place of storing"],
        "connection cut": Fault(cut_request=10),
    }
    for name in faults:
        case.bucket.put(name, f"content of {name}".encode())
    case.between.rule, case.between.cuts = always(faults), True

    ran = case.command("initial-sync", "--direct", "--json")

    assert ran.code == 3, ran.err
    [ended] = ran.json()["integrations"]
    assert ended["result"]["verdict"] == "partial"
    assert {(one["path"], one["status"]) for one in ended["result"]["execution"]["failures"]} == {
        (name, "failed") for name in faults
    }
    assert case.destination.contents() == {"good.txt": b"good"}
    assert case.owed() == sorted(faults)
    [report] = case.server.results()
    assert (report["success"], report["verdict"], report["statistics"]["operations_failed"]) == (False, "partial", 4)
    assert {one["file_path"] for one in report["errors"]} == set(faults)

    case.between.rule = lambda _: None
    # Before the hour is over, what was told to wait is asked again only if a person wants it.
    assert case.command("reconcile", "--direct").code == 3
    assert case.owed() == ["429"]
    assert case.command("retry", "-i", NAME, "--path", "429").code == 0
    assert case.command("reconcile", "--direct").code == 0
    case.require_in_step(case.bucket.contents())


def test_a_file_manager_that_is_away_ends_the_run_and_takes_nothing_along(case: ToServer) -> None:
    assert case.sync().verdict is Verdict.IN_SYNC
    case.bucket.put("good.txt", b"changed")
    case.between.rule = lambda _: Fault(cut_answer=0)

    ran = case.command("reconcile", "--direct")

    assert ran.code == 6
    assert "file manager" in ran.err
    case.between.rule = lambda _: None
    assert case.sync().verdict is Verdict.IN_SYNC
    case.require_in_step(case.bucket.contents())


# --- acknowledged, and not done ------------------------------------------------------------------


def pretended(request: Request) -> Fault | None:
    """An answer as if it had been done."""
    answer = {"internal_id": "made-up", "file_path": request.path, "operation": request.operation, "status": "ok"}
    if request.operation in ("rename", "move"):
        answer["new_path"] = f"{request.path}, moved"
    body = json.dumps(answer).encode()
    lies = request.operation in CHANGES and "/a lie" in request.path
    return Fault(instead=Answer(200, (("Content-Type", "application/json"),), body)) if lies else None


def test_an_acknowledgement_that_is_a_lie_is_found_by_verify_and_made_good(case: ToServer) -> None:
    case.bucket.put("a lie", b"never stored")
    case.between.rule = pretended
    assert case.sync().verdict is Verdict.IN_SYNC
    case.between.rule = lambda _: None
    assert case.destination.contents() == {"good.txt": b"good"}

    assert case.command("verify", "-i", NAME, "--repair").code == 3
    assert case.owed() == ["a lie"]
    assert case.sync().verdict is Verdict.IN_SYNC
    case.require_in_step(case.bucket.contents())


def test_where_acknowledgements_are_confirmed_every_lie_is_found_at_once(case: ToServer) -> None:
    case.configure(", confirm: probe")
    for name in ("a lie about an update", "a lie about a move", "a lie about a delete"):
        case.bucket.put(name, f"content of {name}".encode())
    assert case.sync().verdict is Verdict.IN_SYNC
    before = case.destination.contents()
    case.server.call("DELETE", "/admin/results")
    case.bucket.put("a lie about a create", b"new")
    case.bucket.put("a lie about an update", b"changed")
    case.bucket.rename("a lie about a move", "a lie about a move, moved")
    case.bucket.delete("a lie about a delete")
    case.between.rule = pretended

    ran = case.command("reconcile", "--direct")

    assert ran.code == 3, ran.out + ran.err
    assert "acknowledged that the file was" in ran.out
    assert case.destination.contents() == before
    assert {"a lie about a create", "a lie about an update", "a lie about a delete"} < set(case.owed())
    [report] = case.server.results()
    assert report["success"] is False
    case.between.rule = lambda _: None
    assert case.command("reconcile", "--direct").code == 0
    case.require_in_step(case.bucket.contents())
