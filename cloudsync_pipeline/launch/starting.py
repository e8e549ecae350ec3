"""Puts runs into the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.launch.instance import open_instance
from cloudsync_pipeline.launch.workspace import LOCATION, open_workspace

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceRequestContext

Start = Callable[[str, str, Mapping[str, Any], Mapping[str, str]], str]
"""Job, integration, run configuration, tags: the run's id."""


def launch(
    job: str,
    integration: str,
    *,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Put a run of one integration into the queue of the configured instance; see `launcher` for several.

    Returns:
        The run's id.

    Raises:
        ConfigError: no instance is configured, the workspace does not load, or it has no such job.
    """
    with launcher() as start:
        return start(job, integration, run_config or {}, tags or {})


@contextmanager
def launcher() -> Iterator[Start]:
    """What puts runs into the queue, loaded once for any number of them.

    It takes a job (`initial_sync`, `reconcile`, `incremental_sync` or `maintenance`), an integration, run
    configuration as Dagster takes it (see `resources.RunOptions` for what can be asked) and tags besides the job's own,
    and gives the run's id. The integration becomes a partition if it is none yet. The code location is loaded as
    the daemon would load it, which takes some seconds where no code server runs.

    Raises:
        ConfigError: no instance is configured, the workspace does not load, or (when called) it has no such job.
    """
    with open_instance() as instance, open_workspace(instance) as workspace:
        yield lambda job, integration, run_config, tags: _submit(
            instance, workspace, job, integration, run_config, tags
        )


def _submit(
    instance: DagsterInstance,
    workspace: WorkspaceRequestContext,
    job: str,
    integration: str,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
) -> str:
    from dagster._core.definitions.selector import JobSubsetSelector

    from cloudsync_pipeline.partitions import INTEGRATIONS

    location = workspace.get_code_location(LOCATION)
    holder = next((r for r in location.get_repositories().values() if r.has_job(job)), None)
    if holder is None:
        raise ConfigError(f"The code location {LOCATION!r} has no job {job!r}.", remedy="Name one of its jobs.")
    remote_job = location.get_job(
        JobSubsetSelector(location_name=location.name, repository_name=holder.name, job_name=job, op_selection=None)
    )
    instance.add_dynamic_partitions(INTEGRATIONS, [integration])
    plan = location.get_execution_plan(
        remote_job, run_config, step_keys_to_execute=None, known_state=None, instance=instance
    ).execution_plan_snapshot
    run = instance.create_run(
        job_name=job,
        run_id=None,
        run_config=run_config,
        status=None,
        tags={**remote_job.run_tags, **tags, **_partition_tags(job, integration)},
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=plan,
        job_snapshot=remote_job.job_snapshot,
        parent_job_snapshot=remote_job.parent_job_snapshot,
        asset_selection=None,
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=remote_job.get_remote_origin(),
        job_code_origin=remote_job.get_python_origin(),
        asset_graph=holder.asset_graph,
    )
    return instance.submit_run(run.run_id, workspace).run_id


def _partition_tags(job: str, integration: str) -> dict[str, str]:
    from dagster._core.remote_representation.external_data import partition_set_snap_name_for_job_name
    from dagster._core.storage.tags import PARTITION_SET_TAG

    from cloudsync_pipeline.partitions import PARTITION_TAG

    return {PARTITION_TAG: integration, PARTITION_SET_TAG: partition_set_snap_name_for_job_name(job)}
