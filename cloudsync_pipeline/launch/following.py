"""Watches a run, or ends it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.launch.instance import open_instance, require_daemon_of

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, EventLogEntry


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One line of a run's log.

    Attributes:
        at: UTC.
        level: as `logging` names it.
        step: the asset or check it is about, or None.
    """

    at: datetime
    level: str
    step: str | None
    message: str


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a run failed, as the step that failed told it.

    Attributes:
        kind: the error's class, as in `core.errors`; "Failure" where the step said no more.
        message: names the integration, and says what to do.
        remedy: what to do, alone; None where it is unknown.
    """

    kind: str
    message: str
    remedy: str | None
    retryable: bool


def wait(
    run_id: str,
    on_event: Callable[[RunEvent], None],
    *,
    poll: float = 0.5,
    check_daemon: bool = True,
) -> str:
    """Follow a run until it ends.

    Args:
        on_event: told each line of its log, in order.
        poll: seconds between two looks.
        check_daemon: give up on a queued run when no daemon is there to start it.

    Returns:
        "SUCCESS", "FAILURE" or "CANCELED".

    Raises:
        StateError: there is no such run, or the daemon that would start it is gone.
    """
    from dagster import DagsterRunStatus

    cursor: str | None = None
    with open_instance() as instance:
        while True:
            # The status is read before the log: what is logged up to the end is then never missed.
            run = _run(instance, run_id)
            while True:
                page = instance.get_records_for_run(run_id, cursor=cursor, limit=500)
                for record in page.records:
                    on_event(_told(record.event_log_entry))
                cursor = page.cursor
                if not page.has_more:
                    break
            if run.is_finished:
                return run.status.value
            if check_daemon and run.status is DagsterRunStatus.QUEUED:
                require_daemon_of(instance)
            time.sleep(poll)


def failure(run_id: str) -> RunFailure | None:
    """Why a run failed; None where none of its steps says so in our words (a defect, or it never began).

    Raises:
        StateError: there is no such run.
    """
    from dagster import DagsterEventType

    with open_instance() as instance:
        _run(instance, run_id)
        for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
            told = entry.get_dagster_event().step_failure_data.user_failure_data
            if told is None or told.description is None:
                continue
            facts = {name: value.value for name, value in told.metadata.items()}
            remedy = facts.get("remedy")
            return RunFailure(
                kind=str(facts.get("error", "Failure")),
                message=told.description,
                remedy=None if remedy is None else str(remedy),
                retryable=bool(facts.get("retryable", False)),
            )
    return None


def terminate(run_id: str) -> bool:
    """Ask a run to end as the web interface's Terminate does; False where it has ended already.

    Raises:
        StateError: there is no such run.
    """
    with open_instance() as instance:
        run = _run(instance, run_id)
        if run.is_finished:
            return False
        return bool(instance.run_coordinator.cancel_run(run_id))


def _run(instance: DagsterInstance, run_id: str) -> DagsterRun:
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise StateError(
            f"Dagster knows no run {run_id}.", remedy="It may have been deleted; `cloudsync runs` lists them."
        )
    return run


def _told(entry: EventLogEntry) -> RunEvent:
    event = entry.dagster_event
    return RunEvent(
        at=datetime.fromtimestamp(entry.timestamp, UTC),
        level=entry.level if isinstance(entry.level, str) else logging.getLevelName(entry.level),
        step=entry.step_key,
        message=entry.message or (event.message if event else None) or (event.event_type_value if event else ""),
    )
