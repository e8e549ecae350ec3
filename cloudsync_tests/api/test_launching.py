"""Syncs that are asked for: launched in Dagster, or refused with what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloudsync_pipeline import launch
from cloudsync_tests.api.builders import Served, problem, serve
from cloudsync_tests.cli.builders import Place

JOBS = {"initial": "initial_sync", "incremental": "incremental_sync", "reconcile": "reconcile"}


@dataclass
class Queue:
    """Dagster's queue, as far as launching sees it; the real one takes a run in `test_monitoring`.

    Attributes:
        loaded: how often the workspace was loaded.
        breaks: so many starts fail as they do where the code server is gone.
    """

    runs: list[launch.ActiveRun] = field(default_factory=list)
    tags: list[Mapping[str, str]] = field(default_factory=list)
    loaded: int = 0
    breaks: int = 0
    daemon: bool = True

    @contextmanager
    def launcher(self) -> Iterator[Callable[..., str]]:
        self.loaded += 1
        yield self.start

    def start(self, job: str, integration: str, _: object, tags: Mapping[str, str]) -> str:
        if self.breaks:
            self.breaks -= 1
            raise ConnectionError("the code server is gone")
        self.runs.append(launch.ActiveRun(f"run-{len(self.runs)}", job, integration, None, "QUEUED"))
        self.tags.append(tags)
        return self.runs[-1].run_id

    def active(self, integration: str | None = None) -> list[launch.ActiveRun]:
        return [run for run in self.runs if run.integration == integration]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(launch, "instance_configured", lambda: True)
    monkeypatch.setattr(launch, "daemon_alive", lambda: queue.daemon)
    monkeypatch.setattr(launch, "launcher", queue.launcher)
    monkeypatch.setattr(launch, "active_runs", queue.active)
    return queue


@pytest.fixture
def running(place: Place) -> Iterator[Served]:
    place.local("one", extra="owner: team-a\n")
    with serve(place, local_only=True) as served:
        yield served


def ask(running: Served, mode: str = "incremental", name: str = "one") -> Any:
    return running.call("POST", f"/sync/{mode}", key=None, json={"integration": name})


@pytest.mark.parametrize("mode", JOBS)
def test_a_sync_is_a_run_of_the_job_of_its_kind(running: Served, queue: Queue, mode: str) -> None:
    answer = ask(running, mode)
    assert answer.status_code == 202
    assert answer.json() == {"run_id": "run-0", "integration": "one", "job": JOBS[mode], "new": True}
    assert queue.tags == [{"cloudsync/owner": "team-a"}]


def test_a_run_that_waits_already_is_not_launched_again(running: Served, queue: Queue) -> None:
    first, again, other = ask(running), ask(running), ask(running, "reconcile")
    assert (again.status_code, again.json()) == (202, first.json() | {"new": False})
    assert other.json()["run_id"] == "run-1"


def test_the_workspace_is_loaded_once(running: Served, queue: Queue) -> None:
    for mode in JOBS:
        ask(running, mode)
    assert queue.loaded == 1


def test_where_the_code_server_is_gone_the_workspace_is_loaded_anew(running: Served, queue: Queue) -> None:
    ask(running)
    queue.breaks = 1
    assert ask(running, "reconcile").status_code == 202
    assert queue.loaded == 2
    queue.breaks = 2
    problem(ask(running, "initial"), 500, "failed")


def test_without_an_instance_it_says_what_to_set(running: Served) -> None:
    assert "DAGSTER_HOME" in problem(ask(running), 503, "no-dagster")["remedy"]


def test_without_a_daemon_nothing_is_queued(running: Served, queue: Queue) -> None:
    queue.daemon = False
    assert "dagster-daemon run" in problem(ask(running), 503, "no-daemon")["remedy"]
    assert queue.runs == []


def test_an_integration_that_is_paused_is_not_synced(running: Served, queue: Queue) -> None:
    running.place.run("integrations", "pause", "one", "--reason", "audit")
    document = problem(ask(running), 409, "paused")
    assert "audit" in document["detail"]
    assert queue.runs == []


def test_one_that_there_is_not_is_not_found(running: Served, queue: Queue) -> None:
    assert "'one'" in problem(ask(running, name="on"), 404, "no-integration")["remedy"]
