"""A small world with a past: two integrations that were synced, changed, and synced again; and Dagster's web server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from cloudsync_pipeline.core.errors import BadAnswer, Unreachable
from cloudsync_pipeline.demo import processes, world
from cloudsync_pipeline.demo.changes import apply, changes, events
from cloudsync_pipeline.demo.dagster_runs import JobRun, Worker
from cloudsync_pipeline.demo.dagster_web import DagsterWeb
from cloudsync_pipeline.demo.ports import LOOPBACK, free_ports
from cloudsync_pipeline.demo.sample import Sample, fill, samples
from cloudsync_pipeline.demo.world import WITH_FEED, WITHOUT_FEED, World

SEEDS = {WITH_FEED: 1, WITHOUT_FEED: 2}
FIRST = {WITH_FEED: "initial_sync", WITHOUT_FEED: "initial_sync"}
AFTER_CHANGES = {WITH_FEED: "incremental_sync", WITHOUT_FEED: "reconcile"}
OBJECTS = 60
"""In each bucket at first: enough to change some of each kind, and quick to bring over."""
_READY_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Past:
    """What has happened, and where it can be looked at.

    Attributes:
        url: of the web UI.
        runs: of each integration, in their order.
    """

    url: str
    runs: dict[str, list[JobRun]]


@contextmanager
def a_world_with_a_past(folder: Path) -> Iterator[Past]:
    """Two real syncs of each integration, in a Dagster instance whose web server runs for a `with` block.

    No daemon runs beside it: schedules and sensors would add runs of their own.
    """
    with ExitStack() as stack:
        here = stack.enter_context(world.running(folder))
        # Its databases are made by one process at a time.
        dg.DagsterInstance.from_config(str(here.dagster_home)).dispose()
        web = stack.enter_context(_web_server(here))
        workers = {
            name: stack.enter_context(Worker(name, environment=here.environment, logs=folder / "logs"))
            for name in SEEDS
        }
        s3 = here.storage.client()
        before = {name: samples(seed)[:OBJECTS] for name, seed in SEEDS.items()}
        for name, objects in before.items():
            s3.create_bucket(Bucket=name)
            fill(s3, name, objects)
        runs = [_sync(workers, FIRST)]
        for name, objects in before.items():
            change(s3, name, objects, seed=7, publish=here.server.publish)
        runs.append(_sync(workers, AFTER_CHANGES))
        _wait(web)
        yield Past(web.url, {name: [ran[name] for ran in runs] for name in SEEDS})


def change(s3: Any, name: str, objects: Sequence[Sample], *, seed: int, publish: Callable[..., object]) -> None:
    """Create, overwrite, delete and rename objects of a bucket; tell the feed where the integration has one."""
    told = name == WITH_FEED
    wanted = changes(objects, seed, permissions=told)
    apply(s3, name, wanted)
    if told:
        publish(*events(wanted, name))


def _sync(workers: dict[str, Worker], jobs: dict[str, str]) -> dict[str, JobRun]:
    for name, job in jobs.items():
        workers[name].start(job)
    ran = {name: workers[name].wait() for name in jobs}
    for run in ran.values():
        assert run.success, processes.tail(run.log)
    return ran


@contextmanager
def _web_server(here: World) -> Iterator[DagsterWeb]:
    [port] = free_ports(1)
    log = here.folder / "logs" / "web.log"
    log.parent.mkdir(exist_ok=True)
    command = [
        processes.program("dagster-webserver", "dagster-webserver"),
        f"--host={LOOPBACK}",
        f"--port={port}",
        f"--workspace={here.dagster_home / 'workspace.yaml'}",
    ]
    process = processes.start(command, log=log, environment=here.environment, folder=here.folder)
    try:
        yield DagsterWeb(f"http://{LOOPBACK}:{port}", log, process)
    finally:
        processes.stop(process)


def _wait(web: DagsterWeb) -> None:
    """Until the web server has loaded the project's definitions."""
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline and web.process.poll() is None:
        try:
            if web.loaded():
                return
        except (Unreachable, BadAnswer):
            pass
        time.sleep(0.2)
    raise AssertionError(f"Dagster's web server did not start: {processes.tail(web.log)}")
