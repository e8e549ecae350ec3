"""A Dagster run whose worker is killed at any step is noticed, frees its integration, and is made good by the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_tests.e2e.builders import a_bucket, a_deployment, into_folder
from cloudsync_tests.reliability.kills_dagster import Runs, dagster_runs
from cloudsync_tests.reliability.kills_world import NAME, Folder, InboxOf, World
from cloudsync_tests.servers import S3Server

pytestmark = pytest.mark.timeout(1500)

IN_EACH_STEP = (
    "commit bucket_listing, before",
    "commit state_snapshot, after",
    "commit state_diff, before",
    "file manager put, after",
    "commit finish, before",
)
WHILE_IT_TAKES_EVENTS = ("commit events, before", "commit events, after", "commit change_events, before")


MORE = "policy: {max_delete_ratio: 1}\nsync: {transfers: 1}\n"


@pytest.fixture
def runs(tmp_path: Path, seaweedfs: S3Server) -> Iterator[Runs]:
    deployment, bucket = a_deployment(tmp_path / "deployment"), a_bucket(seaweedfs)
    deployment.add(NAME, bucket.as_yaml(), into_folder(tmp_path / "files"), MORE)
    world = World(deployment, bucket, Folder(tmp_path / "files")).filled()
    with dagster_runs(world, tmp_path) as runs:
        yield runs


@pytest.fixture
def told(tmp_path: Path, seaweedfs: S3Server) -> Iterator[tuple[Runs, InboxOf]]:
    """The same with an inbox, which has to be acknowledged."""
    deployment, bucket = a_deployment(tmp_path / "deployment"), a_bucket(seaweedfs)
    deployment.add(NAME, bucket.as_yaml(), into_folder(tmp_path / "files"), "feed: {type: inbox}\n", MORE)
    inbox = InboxOf(deployment)
    world = World(deployment, bucket, Folder(tmp_path / "files"), feed=inbox).filled()
    with dagster_runs(world, tmp_path) as runs:
        yield runs, inbox


def test_a_run_killed_in_each_of_its_steps(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    world = runs.world
    for point in IN_EACH_STEP:
        run_id, ended = runs.execute("initial_sync", kill_at=0, only=point)
        assert ended.killed, (point, ended)
        assert runs.status(run_id) is dg.DagsterRunStatus.STARTED
        world.require_whole()

        runs.notice_the_dead(run_id, monkeypatch)

        assert runs.status(run_id) is dg.DagsterRunStatus.FAILURE
        with runs.fleet.control() as control:
            assert control.heartbeats.all() == []
            known = control.get(NAME)
        assert (known.last_run_id, known.last_verdict) == (run_id, "failed")
        assert known.initial_next_try is not None
        assert known.initial_next_try > datetime.now(UTC)
        world.change()

    run_id, ended = runs.execute("initial_sync")

    assert ended.code == 0, ended.log
    assert runs.status(run_id) is dg.DagsterRunStatus.SUCCESS
    world.require_in_step()
    with runs.fleet.control() as control:
        assert control.get(NAME).last_verdict == "in_sync"


def test_a_run_killed_while_it_takes_events_loses_none(
    told: tuple[Runs, InboxOf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No listing makes anything good here: what is not told twice has to be remembered."""
    runs, inbox = told
    assert runs.execute("initial_sync")[1].code == 0
    for point in WHILE_IT_TAKES_EVENTS:
        runs.world.change()
        run_id, ended = runs.execute("incremental_sync", kill_at=0, only=point)
        assert ended.killed, (point, ended)
        runs.world.require_whole()
        runs.notice_the_dead(run_id, monkeypatch)
        assert runs.status(run_id) is dg.DagsterRunStatus.FAILURE

    run_id, ended = runs.execute("incremental_sync")

    assert ended.code == 0, ended.log
    assert runs.status(run_id) is dg.DagsterRunStatus.SUCCESS
    runs.world.require_in_step()
    assert inbox.waiting() == 0
