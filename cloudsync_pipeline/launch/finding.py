"""Finds runs that have not ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.launch.instance import open_instance

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run as Dagster knows it.

    Attributes:
        kind: initial, reconcile, incremental or maintenance; None for one that was put together by hand.
        status: as Dagster names it ("QUEUED", "STARTED", ...).
        whole: it does all that its job does; False for a retry of some steps, and for a dry run.
    """

    run_id: str
    job: str
    integration: str | None
    kind: str | None
    status: str
    whole: bool = True


def active_runs(integration: str | None = None) -> list[ActiveRun]:
    """The runs that have not ended, newest first; of one integration or of all."""
    with open_instance() as instance:
        return unfinished(instance, integration)


def unfinished(instance: DagsterInstance, integration: str | None = None) -> list[ActiveRun]:
    """As `active_runs`, in an instance that is open: one query, however many integrations there are."""
    from dagster import RunsFilter
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

    from cloudsync_pipeline.partitions import PARTITION_TAG

    tags = {} if integration is None else {PARTITION_TAG: integration}
    runs = instance.get_runs(filters=RunsFilter(statuses=NOT_FINISHED_STATUSES, tags=tags))
    return [_told(run) for run in runs]


def look_up(run_id: str) -> ActiveRun | None:
    """One run, ended or not; None where Dagster knows none of that id."""
    with open_instance() as instance:
        run = instance.get_run_by_id(run_id)
        return None if run is None else _told(run)


def run_tagged(tag: str, value: str) -> str | None:
    """The newest run, ended or not, that carries a tag with this value; its id."""
    from dagster import RunsFilter

    with open_instance() as instance:
        runs = instance.get_runs(filters=RunsFilter(tags={tag: value}), limit=1)
    return runs[0].run_id if runs else None


def _told(run: DagsterRun) -> ActiveRun:
    from cloudsync_pipeline.partitions import KIND_TAG, PARTITION_TAG

    return ActiveRun(
        run_id=run.run_id,
        job=run.job_name,
        integration=run.tags.get(PARTITION_TAG),
        kind=run.tags.get(KIND_TAG),
        status=run.status.value,
        whole=run.parent_run_id is None and not _dry(run.run_config),
    )


def _dry(run_config: Mapping[str, Any]) -> bool:
    value: Any = run_config
    for key in ("resources", "options", "config", "dry_run"):
        value = value.get(key) if isinstance(value, Mapping) else None
    # What is no plain answer (a reference to the environment) may mean anything.
    return value is not None and value is not False
