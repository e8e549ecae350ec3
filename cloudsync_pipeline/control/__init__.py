"""What is remembered of the fleet: integrations, locks, last results, due times."""

from cloudsync_pipeline.control.alerts import Alerts, Told
from cloudsync_pipeline.control.control import Control
from cloudsync_pipeline.control.due import rests
from cloudsync_pipeline.control.holders import Holder
from cloudsync_pipeline.control.inbox import Backlog, Inbox, Notice
from cloudsync_pipeline.control.leases import Leases
from cloudsync_pipeline.control.locks import WriterLock, holder, writer_lock
from cloudsync_pipeline.control.measures import Measure
from cloudsync_pipeline.control.records import Counts, Heartbeat, Integration, IntegrationState, Rest, RunResult

__all__ = [
    "Alerts",
    "Backlog",
    "Control",
    "Counts",
    "Heartbeat",
    "Holder",
    "Inbox",
    "Integration",
    "IntegrationState",
    "Leases",
    "Measure",
    "Notice",
    "Rest",
    "RunResult",
    "Told",
    "WriterLock",
    "holder",
    "rests",
    "writer_lock",
]
