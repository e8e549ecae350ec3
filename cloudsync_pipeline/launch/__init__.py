"""Starts and finds runs in the configured Dagster instance, for the command line, the API and the message queue.

Importing this is cheap: Dagster itself is imported when a function needs it. Dagster has no public call
that puts a run into the queue from outside (`dagster job launch` uses the same internals), so all use of
its internal modules stands in this package, and is tested.
"""

from cloudsync_pipeline.launch.finding import ActiveRun, active_runs, look_up, run_tagged, unfinished
from cloudsync_pipeline.launch.following import RunEvent, RunFailure, failure, terminate, wait
from cloudsync_pipeline.launch.instance import daemon_alive, instance_configured, require_daemon, schedules_active
from cloudsync_pipeline.launch.starting import Start, launch, launcher
from cloudsync_pipeline.launch.tags import run_tags
from cloudsync_pipeline.launch.workspace import LOCATION, WORKSPACE

__all__ = [
    "instance_configured",
    "launch",
    "launcher",
    "Start",
    "wait",
    "RunEvent",
    "failure",
    "RunFailure",
    "terminate",
    "active_runs",
    "ActiveRun",
    "run_tagged",
    "look_up",
    "unfinished",
    "daemon_alive",
    "require_daemon",
    "schedules_active",
    "run_tags",
    "LOCATION",
    "WORKSPACE",
]
