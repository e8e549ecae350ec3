"""Where a Dagster instance is configured, syncs are runs of it; the command shows and judges how they ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cloudsync_pipeline import launch
from cloudsync_pipeline.definitions import assemble
from cloudsync_pipeline.partitions import INTEGRATIONS
from cloudsync_tests.cli.builders import Place


@dataclass
class Instance:
    """An instance whose runs are executed here and now: the queue and its daemon are tested with `dev`.

    Attributes:
        launched: job and integration of each run.
        terminated: runs that were asked to end.
    """

    place: Place
    home: Path
    launched: list[tuple[str, str]] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)

    @contextmanager
    def launcher(self) -> Iterator[Callable[..., str]]:
        yield self.start

    def start(self, job: str, integration: str, *_: Any) -> str:
        self.launched.append((job, integration))
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions(INTEGRATIONS, [integration])
            result = (
                assemble(str(self.place.config))
                .resolve_job_def(job)
                .execute_in_process(instance=instance, partition_key=integration, raise_on_error=False)
            )
        return result.run_id

    def terminate(self, run_id: str) -> bool:
        self.terminated.append(run_id)
        return True


@pytest.fixture
def instance(place: Place, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance in a home of its own."""
    home = place.folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    one = Instance(place, home)
    monkeypatch.setattr(launch, "require_daemon", lambda: None)
    monkeypatch.setattr(launch, "launcher", one.launcher)
    monkeypatch.setattr(launch, "terminate", one.terminate)
    return one


def test_a_sync_is_a_run_of_the_job_of_its_kind(place: Place, instance: Instance) -> None:
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("initial-sync", "--json")
    assert ran.code == 0, ran.err
    assert "through Dagster" in ran.err
    document = ran.json()
    assert document["via"] == "dagster"
    [one] = document["integrations"]
    assert one["result"]["execution"]["done"]["create"] == 1
    assert one["result"]["verdict"] == "in_sync"
    assert place.files("one") == {"a.txt": "alpha"}
    assert instance.launched == [("initial_sync", "one")]


def test_its_steps_and_its_result_are_told(place: Place, instance: Instance) -> None:
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("reconcile")
    assert "one: launched run " in ran.err
    assert "one: executed_operations finished" in ran.err
    assert "1 create" in ran.out


def test_direct_goes_past_dagster(place: Place, instance: Instance) -> None:
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("initial-sync", "--direct")
    assert ran.code == 0
    assert "directly, without Dagster" in ran.err
    assert instance.launched == []


def test_a_plan_is_executed_by_nobody(place: Place, instance: Instance) -> None:
    place.local("one", {"a.txt": "alpha"})
    assert place.run("plan").code == 0
    assert instance.launched == []


def test_a_run_that_failed_says_why_and_has_the_code_of_its_error(place: Place, instance: Instance) -> None:
    (place.folder / "files").mkdir()
    place.integration(
        "one",
        f"storage: {{type: local, path: {place.folder / 'nowhere'}}}\n"
        f"file_manager: {{type: local, path: {place.folder / 'files'}}}\n",
    )
    ran = place.run("initial-sync", "--json")
    assert ran.code == 6
    [one] = ran.json()["integrations"]
    assert one["error"]["kind"] == "ContainerNotFound"
    assert one["error"]["remedy"]
    [told] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert told.startswith("error: one: ")
    assert "nowhere" in told


def test_a_paused_integration_is_not_launched(place: Place, instance: Instance) -> None:
    place.local("one")
    place.run("integrations", "pause", "one")
    assert place.run("reconcile").code == 0
    assert place.run("reconcile", "-i", "one").code == 9
    assert instance.launched == []


def test_ctrl_c_asks_the_runs_to_end(place: Place, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    place.local("one", {"a.txt": "alpha"})
    monkeypatch.setattr(instance, "start", lambda *_: "a-run")

    def interrupted(*_: Any, **__: Any) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        return "SUCCESS"

    monkeypatch.setattr(launch, "wait", interrupted)
    ran = place.run("initial-sync")
    assert ran.code == 130
    assert instance.terminated == ["a-run"]


def test_without_a_daemon_it_says_what_to_do(place: Place, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("DAGSTER_HOME", str(instance.home))
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("initial-sync")
    assert ran.code == 8
    assert "--direct" in ran.err
    assert place.files("one") == {}
