"""Runs of a Dagster instance, executed by the worker that its launchers start, and what its sensors make of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs

from cloudsync_pipeline.partitions import INTEGRATIONS, PARTITION_TAG
from cloudsync_pipeline.sensors import broken_runs
from cloudsync_tests.dagster_fleet import FleetOfTests, tick, tick_about
from cloudsync_tests.reliability.kills_process import Ended, Preloaded
from cloudsync_tests.reliability.kills_world import NAME, World

_CODE = ReconstructableRepository.for_module("cloudsync_pipeline.definitions", "defs")


@dataclass(frozen=True, slots=True)
class Runs:
    """A deployment with a Dagster instance of its own.

    Attributes:
        worker: executes runs, one after the other.
    """

    world: World
    fleet: FleetOfTests
    worker: Preloaded

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.fleet.instance

    def create(self, job: str) -> tuple[str, str]:
        """A run that is to be executed: its id, and the order to do so."""
        definition = self.fleet.definitions().resolve_job_def(job)
        origin = _CODE.get_reconstructable_job(job).get_python_origin()
        run = self.instance.create_run_for_job(
            definition, tags={**definition.run_tags, PARTITION_TAG: NAME}, job_code_origin=origin
        )
        order = ExecuteRunArgs(origin, run.run_id, self.instance.get_ref(), set_exit_code_on_failure=True)
        return run.run_id, dg.serialize_value(order)

    def execute(self, job: str, **points: Any) -> tuple[str, Ended]:
        """Execute a run; its id, and how its worker ended."""
        run_id, order = self.create(job)
        return run_id, self.worker.run(order, **points)

    def report_canceling(self, run_id: str) -> None:
        """What a launcher records before it interrupts the worker."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        self.instance.report_run_canceling(run)

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def notice_the_dead(self, run_id: str, patch: pytest.MonkeyPatch) -> None:
        """What the daemon does about a killed run: its silence is noticed, then its failure is recorded."""
        with patch.context() as at_once:
            at_once.setattr(broken_runs, "SILENCE", timedelta(0))
            tick(broken_runs.dead_runs, self.fleet)
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        events = [entry.dagster_event for entry in self.instance.all_logs(run_id) if entry.dagster_event]
        failed = [event for event in events if event.is_failure and event.event_type_value == "PIPELINE_FAILURE"]
        if failed:
            tick_about(broken_runs.failed_runs, self.fleet, run, failed[-1])


@contextmanager
def dagster_runs(world: World, folder: Path) -> Iterator[Runs]:
    """An instance and its worker for a world, below `folder`."""
    home, logs = folder / "dagster", folder / "worker"
    for one in (home, logs):
        one.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    environment = {"DAGSTER_HOME": str(home), "CLOUDSYNC_CONFIG": str(world.deployment.config)}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions(INTEGRATIONS, [NAME])
        with Preloaded("dagster", logs, environment) as worker:
            yield Runs(world, FleetOfTests(world.deployment.folder, instance), worker)
