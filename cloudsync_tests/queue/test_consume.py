"""`cloudsync consume` as a process, a real broker, and a real Dagster instance whose queue the runs end up in."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline import launch
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.queue.accepting import waiting_for
from cloudsync_tests.cli.builders import ROOT, Place, a_place
from cloudsync_tests.queue.rabbitmq import Queues, until

KINDS = ("initial", "incremental", "reconcile")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "dagster"
    folder.mkdir()
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(ROOT / "workspace.yaml", folder)
    return folder


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as one:
        yield one


def a_request(integration: str, kind: str = "incremental") -> str:
    return json.dumps({"type": kind, "integration": integration})


def queued(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """Job and integration of every run, oldest first."""
    return [(run.job_name, run.tags["dagster/partition"]) for run in reversed(instance.get_runs())]


def test_requests_become_runs_once_and_what_is_wrong_a_dead_letter(
    tmp_path: Path, home: Path, instance: dg.DagsterInstance, queues: Queues
) -> None:
    place = a_place(tmp_path, f"queue: {{url: '{queues.url}', name: {queues.name}}}\n")
    place.local("one", extra="feed: {type: inbox}\nowner: the photo team\n")
    place.local("idle")
    place.local("scanned")
    assert place.run("integrations", "pause", "idle").code == 0
    process = start(place, home)
    try:
        until(queues.made)
        queues.send(a_request("one"), message_id="m-1")
        until(lambda: queued(instance) == [("incremental_sync", "one")])
        # It waits in the queue, so what is asked for a second time is what it will do; and no feed means a scan.
        queues.send(a_request("one"), a_request("one", "reconcile"), a_request("one", "initial"))
        queues.send(a_request("scanned"), a_request("nobody"), a_request("idle"), "nonsense")
        dead = [properties.headers["x-cloudsync-reason"] for _, properties in queues.dead_in_time(3)]
        expected = [("incremental_sync", "one"), ("reconcile", "one"), ("reconcile", "scanned")]
        assert queued(instance) == expected
        oldest = instance.get_runs()[-1]
        assert oldest.status is dg.DagsterRunStatus.QUEUED
        assert (oldest.tags["cloudsync/owner"], oldest.tags["cloudsync/request"]) == ("the photo team", "m-1")
        # A run that has begun may have looked already: one more is queued. A message that comes again is known.
        instance.report_run_canceled(oldest)
        queues.send(a_request("one"), message_id="m-1")
        queues.send(a_request("one"), message_id="m-2")
        until(lambda: queued(instance) == [*expected, ("incremental_sync", "one")])
    finally:
        code, out, err = stopped(process)
    assert (code, out) == (143, "")
    assert "Traceback" not in err
    assert queues.left() == 0
    assert "there is no integration 'nobody'" in dead[0]
    assert "paused" in dead[1]
    assert "no JSON" in dead[2]
    assert "INFO queue.consumer [one " in err


def test_without_a_queue_or_an_instance_it_says_what_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    place = a_place(tmp_path)
    ran = place.run("consume")
    assert (ran.code, "queue: {url:" in ran.err) == (5, True)
    place.config.write_text("queue: {url: 'amqp://guest:guest@127.0.0.1/'}\n")
    ran = place.run("consume")
    assert (ran.code, "DAGSTER_HOME" in ran.err) == (5, True)
    place.config.write_text("queue: {url: 'http://guest:a-password@127.0.0.1/'}\n")
    ran = place.run("consume")
    assert ran.code == 5
    assert "amqp://" in ran.err
    assert "a-password" not in ran.err


@pytest.mark.parametrize("mode", list(Mode))
def test_a_request_joins_only_a_run_that_waits_and_does_as_much(mode: Mode) -> None:
    def a_run(kind: str | None, status: str = "QUEUED", *, whole: bool = True) -> launch.ActiveRun:
        return launch.ActiveRun("r", "job", "acme", kind, status, whole)

    as_good = {kind for kind in KINDS if waiting_for(mode, [a_run(kind)])}
    assert as_good == ({"incremental"} if mode is Mode.INCREMENTAL else {"initial", "reconcile"})
    assert waiting_for(mode, [a_run(mode.value, "STARTED"), a_run(mode.value, "STARTING")]) is None
    assert waiting_for(mode, [a_run(mode.value, whole=False), a_run(None), a_run("maintenance")]) is None


def start(place: Place, home: Path) -> subprocess.Popen[str]:
    return place.start("consume", environment={"DAGSTER_HOME": str(home)})


def stopped(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """SIGTERM, and how it ended."""
    process.send_signal(signal.SIGTERM)
    try:
        out, err = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err
