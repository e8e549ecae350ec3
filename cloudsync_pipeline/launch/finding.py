"""Finds runs that have not ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudsync_pipeline.launch.instance import open_instance

if TYPE_CHECKING:
    from dagster import DagsterInstance


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that is queued, starting, running or ending.

    Attributes:
        kind: initial, reconcile, incremental or maintenance; None for one that was put together by hand.
        status: as Dagster names it ("QUEUED", "STARTED", ...).
    """

    run_id: str
    job: str
    integration: str | None
    kind: str | None
    status: str


def active_runs(integration: str | None = None) -> list[ActiveRun]:
    """The runs that have not ended, newest first; of one integration or of all."""
    with open_instance() as instance:
        return unfinished(instance, integration)


def unfinished(instance: DagsterInstance, integration: str | None = None) -> list[ActiveRun]:
    """As `active_runs`, in an instance that is open: one query, however many integrations there are."""
    from dagster import RunsFilter
    from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

    from cloudsync_pipeline.partitions import KIND_TAG, PARTITION_TAG

    tags = {} if integration is None else {PARTITION_TAG: integration}
    runs = instance.get_runs(filters=RunsFilter(statuses=NOT_FINISHED_STATUSES, tags=tags))
    return [
        ActiveRun(
            run_id=run.run_id,
            job=run.job_name,
            integration=run.tags.get(PARTITION_TAG),
            kind=run.tags.get(KIND_TAG),
            status=run.status.value,
        )
        for run in runs
    ]
