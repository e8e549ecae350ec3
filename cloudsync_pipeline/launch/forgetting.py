"""Old runs of a Dagster instance deleted, but for those that its picture of the assets rests on.

Deleting a run deletes its events: with them the materializations that partitions are shown by, the observations, and
the evaluations of checks. So a run stays, however old, while it holds the newest of these of any partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import AssetCheckKey, AssetKey, DagsterInstance

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Runs that were deleted, and older ones that stay because something rests on them."""

    deleted: int
    kept: int


def forget_runs(
    instance: DagsterInstance, checks: Iterable[AssetCheckKey], *, before: datetime, most: int = 2000
) -> Forgotten:
    """Delete finished runs that were made before a time.

    Args:
        checks: every check there is.
        before: aware.
        most: runs to delete at once; the next call goes on.
    """
    from dagster import RunsFilter
    from dagster._core.storage.dagster_run import FINISHED_STATUSES

    needed = needed_runs(instance, checks)
    deleted, kept = 0, 0
    cursor: str | None = None
    old = RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before)
    while deleted < most:
        page = instance.get_run_records(old, limit=_PAGE, ascending=True, cursor=cursor)
        if not page:
            break
        # Taken before its run goes: where to read on is found by the run that the cursor names.
        going = [one.dagster_run.run_id for one in page if one.dagster_run.run_id not in needed]
        staying = [one.dagster_run.run_id for one in page if one.dagster_run.run_id in needed]
        for run_id in going[: most - deleted]:
            instance.delete_run(run_id)
        deleted += len(going[: most - deleted])
        kept += len(staying)
        cursor = staying[-1] if staying else cursor
    return Forgotten(deleted, kept)


def needed_runs(instance: DagsterInstance, checks: Iterable[AssetCheckKey]) -> set[str]:
    """The runs that hold the newest materialization, observation or check of any asset and partition."""
    needed: set[str] = set()
    for key in instance.all_asset_keys():
        needed |= _newest_of(instance, key)
    for check in checks:
        needed |= _newest_evaluations(instance, check)
    return needed


def _newest_evaluations(instance: DagsterInstance, check: AssetCheckKey) -> set[str]:
    from dagster._core.event_api import PartitionKeyFilter
    from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

    storage, found = instance.event_log_storage, set()
    for one in storage.get_asset_check_partition_info([check]):
        found.add(one.latest_planned_run_id)
        if one.latest_execution_status not in COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES:
            # The newest run broke off before it looked: what was seen before is the newest that is known.
            seen = storage.get_asset_check_execution_history(
                check,
                limit=1,
                status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
                partition_filter=PartitionKeyFilter(key=one.partition_key),
            )
            found |= {record.run_id for record in seen}
    return found


def _newest_of(instance: DagsterInstance, key: AssetKey) -> set[str]:
    from dagster import AssetRecordsFilter, DagsterEventType

    found: set[str] = set()
    for kind, fetch in (
        (DagsterEventType.ASSET_MATERIALIZATION, instance.fetch_materializations),
        (DagsterEventType.ASSET_OBSERVATION, instance.fetch_observations),
    ):
        by_partition = instance.event_log_storage.get_latest_storage_id_by_partition(key, kind)
        ids = sorted(by_partition.values())
        for start in range(0, len(ids), _PAGE):
            some = AssetRecordsFilter(key, storage_ids=ids[start : start + _PAGE])
            found |= {record.run_id for record in fetch(some, limit=_PAGE).records}
        # And the newest of all, which may have no partition.
        found |= {record.run_id for record in fetch(key, limit=1).records}
    return found
