"""The configured instance, and who works for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import ConfigError, StateError
from cloudsync_pipeline.launch.workspace import LOCATION

if TYPE_CHECKING:
    from dagster import DagsterInstance

_DIRECT = "or run without Dagster (--direct)."


def instance_configured(environ: Mapping[str, str] | None = None) -> bool:
    """Whether commands shall go through Dagster: `DAGSTER_HOME` is set and holds a `dagster.yaml`."""
    home = (os.environ if environ is None else environ).get("DAGSTER_HOME")
    return bool(home) and (Path(str(home)) / "dagster.yaml").is_file()


@contextmanager
def open_instance() -> Iterator[DagsterInstance]:
    """The instance of `DAGSTER_HOME`.

    Raises:
        ConfigError: none is configured, or it cannot be opened.
    """
    from dagster import DagsterInstance
    from dagster._core.errors import DagsterInvariantViolationError

    if not instance_configured():
        raise ConfigError(
            "No Dagster instance is configured here.",
            remedy=f"Set DAGSTER_HOME to a folder with a dagster.yaml, {_DIRECT}",
        )
    try:
        instance = DagsterInstance.get()
    except DagsterInvariantViolationError as error:
        raise ConfigError(f"The Dagster instance cannot be opened: {error}") from error
    with instance:
        yield instance


def require_daemon() -> None:
    """Make sure that a queued run would be started.

    Raises:
        StateError: no daemon works on the queue of the configured instance.
    """
    with open_instance() as instance:
        require_daemon_of(instance)


def daemon_alive() -> bool:
    """Whether a daemon works on the queue of the configured instance."""
    with open_instance() as instance:
        return _queue_is_served(instance)


def schedules_active() -> list[str]:
    """Names of the schedules that a living daemon ticks; `cloudsync daemon` must not run beside them."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import InstigatorStatus

    with open_instance() as instance:
        if not _schedules_are_ticked(instance):
            return []
        on = {InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE}
        states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE, instigator_statuses=on)
        return sorted(
            s.name for s in states if s.origin.repository_origin.code_location_origin.location_name == LOCATION
        )


def require_daemon_of(instance: DagsterInstance) -> None:
    """As `require_daemon`, of an instance that is open."""
    if not _queue_is_served(instance):
        raise StateError(
            "No Dagster daemon works on the run queue, so that nothing would start.",
            remedy=f"Start one (`dg dev`, or `dagster-daemon run`), {_DIRECT}",
        )


def _queue_is_served(instance: DagsterInstance) -> bool:
    from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

    name = QueuedRunCoordinatorDaemon.daemon_type()
    status = instance.get_daemon_statuses([name])[name]
    # Without a queue in its configuration an instance starts runs at once, and nobody has to.
    return bool(status.healthy) or not status.required


def _schedules_are_ticked(instance: DagsterInstance) -> bool:
    from dagster._daemon.daemon import SchedulerDaemon

    name = SchedulerDaemon.daemon_type()
    return bool(instance.get_daemon_statuses([name])[name].healthy)
