"""A small fleet on memory fakes, and runs of it in a Dagster instance of its own."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import Fleet, load_fleet
from cloudsync_pipeline.control import Control
from cloudsync_pipeline.definitions import assemble, resources
from cloudsync_pipeline.feeds.memory import MemoryFeed
from cloudsync_pipeline.file_managers.memory import MemoryFiles, named
from cloudsync_pipeline.partitions import INTEGRATIONS, KIND_TAG, PARTITION_TAG
from cloudsync_pipeline.storage.memory import MemoryStorage

Result = dg.ExecuteInProcessResult
Options = Mapping[str, bool | str] | None


@dataclass(slots=True)
class FleetOfTests:
    """Integrations whose ends are fakes, told apart by names that no other test has.

    Attributes:
        folder: holds the configuration and the state.
        instance: knows the integrations as partitions.
    """

    folder: Path
    instance: dg.DagsterInstance
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex)
    _definitions: dg.Definitions | None = None

    @property
    def config(self) -> str:
        return str(self.folder / "cloudsync.yaml")

    def add(self, name: str, *, feed: bool = True, extra: str = "", partition: bool = True) -> None:
        """Configure one integration on fakes of its own."""
        fake = f"{self.prefix}-{name}"
        lines = [
            f"storage: {{type: memory, name: {fake}}}",
            f"file_manager: {{type: memory, name: {fake}}}",
            *([f"feed: {{type: memory, name: {fake}}}"] if feed else []),
            extra,
        ]
        self.write(name, "\n".join(lines))
        if partition:
            self.instance.add_dynamic_partitions(INTEGRATIONS, [name])

    def write(self, name: str, text: str) -> None:
        """An integration's file, whatever is in it."""
        (self.folder / "integrations" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def storage(self, name: str) -> MemoryStorage:
        return wiring.shared_storage(f"{self.prefix}-{name}")

    def feed(self, name: str) -> MemoryFeed:
        return wiring.shared_feed(f"{self.prefix}-{name}")

    def files(self, name: str) -> dict[str, bytes]:
        """What the file manager holds: content by path below the integration's folder."""
        held = self.held(name).files
        return {path.removeprefix(f"{name}/"): file.content for path, file in held.items()}

    def held(self, name: str) -> MemoryFiles:
        return named(f"{self.prefix}-{name}")

    def load(self) -> Fleet:
        return load_fleet(Path(self.config))

    @contextmanager
    def control(self) -> Iterator[Control]:
        with wiring.open_control(self.load().settings) as control:
            yield control

    def run(self, job: str, name: str, *, options: Options = None, tags: Mapping[str, str] | None = None) -> Result:
        """One of the project's jobs for one integration, in this process."""
        return (
            self.definitions()
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                partition_key=name,
                raise_on_error=False,
                run_config=_with(options),
                tags=dict(tags or {}),
            )
        )

    def materialize(self, *assets: str, name: str, options: Options = None) -> Result:
        """Some assets and their checks by themselves, as picked in the web interface."""
        return (
            self.definitions()
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=self.instance,
                partition_key=name,
                raise_on_error=False,
                run_config=_with(options),
                asset_selection=[dg.AssetKey(asset) for asset in assets],
            )
        )

    def resources(self) -> dict[str, Any]:
        """The project's resources, on this configuration."""
        return resources(self.config)

    def resources_of(self, sensor: dg.SensorDefinition) -> dict[str, Any]:
        """Those of the project's resources that it uses."""
        return {name: one for name, one in self.resources().items() if name in sensor.required_resource_keys}

    def definitions(self) -> dg.Definitions:
        """The project's definitions, on this fleet's configuration."""
        if self._definitions is None:
            self._definitions = assemble(self.config)
        return self._definitions


@contextmanager
def a_fleet(
    folder: Path, *names: str, feed: bool = True, partition: bool = True, lasting: bool = False
) -> Iterator[FleetOfTests]:
    """A fleet of these integrations, with state in `folder`; a `lasting` Dagster instance can be opened twice."""
    (folder / "integrations").mkdir()
    (folder / "cloudsync.yaml").write_text("database:\n  path: state\n", encoding="utf-8")
    with ExitStack() as stack:
        if lasting:
            home = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
            quiet = {"telemetry": {"enabled": False}}
            instance = stack.enter_context(dg.DagsterInstance.local_temp(home, overrides=quiet))
        else:
            instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        fleet = FleetOfTests(folder, instance)
        for name in names:
            fleet.add(name, feed=feed, partition=partition)
        yield fleet


def evaluations(result: Result) -> dict[str, dg.AssetCheckEvaluation]:
    """A run's check evaluations by check name."""
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def metadata(result: Result, asset: str) -> dict[str, Any]:
    """What the materialization of an asset said of itself, as plain values."""
    [found] = [
        e.materialization for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in found.metadata.items()}


def materialized(result: Result) -> Sequence[str]:
    """Assets that a run materialized, in order."""
    return [event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key]


def failure(result: Result, step: str) -> tuple[str, dict[str, Any]]:
    """Why a step failed, as Dagster shows it: description and metadata."""
    [event] = [e for e in result.all_events if e.is_step_failure and e.step_key == step]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    return told.description or "", {name: value.value for name, value in told.metadata.items()}


def _with(options: Options) -> dict[str, Any]:
    return {"resources": {"options": {"config": dict(options)}}} if options else {}


def a_run(
    fleet: FleetOfTests, name: str | None, status: dg.DagsterRunStatus, *, kind: str = "incremental"
) -> dg.DagsterRun:
    """A run of one integration that stands as told, without having run."""
    tags = {KIND_TAG: kind, **({PARTITION_TAG: name} if name else {})}
    return fleet.instance.run_storage.add_run(
        dg.DagsterRun(job_name="incremental_sync", run_id=str(uuid.uuid4()), status=status, tags=tags)
    )


def tick(sensor: dg.SensorDefinition, fleet: FleetOfTests, *, cursor: str | None = None) -> Any:
    """What a sensor answers now."""
    context = dg.build_sensor_context(
        instance=fleet.instance, cursor=cursor, resources=fleet.resources_of(sensor), definitions=fleet.definitions()
    )
    with context:
        return sensor(context)


def tick_about(sensor: dg.SensorDefinition, fleet: FleetOfTests, run: dg.DagsterRun, event: dg.DagsterEvent) -> Any:
    """What a sensor of run statuses answers about one run."""
    context: Any = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_instance=fleet.instance,
        dagster_run=run,
        dagster_event=event,
        resources=fleet.resources_of(sensor),
    )
    if event.is_failure:
        context = context.for_run_failure()
    with context:
        return sensor(context)
