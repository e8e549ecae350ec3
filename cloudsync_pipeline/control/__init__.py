"""What is remembered of the fleet: integrations, locks, last results, due times."""

from cloudsync_pipeline.control.control import Control
from cloudsync_pipeline.control.inbox import Inbox, Notice
from cloudsync_pipeline.control.locks import Holder, WriterLock, holder, writer_lock
from cloudsync_pipeline.control.records import Counts, Heartbeat, Integration, IntegrationState, RunResult

__all__ = [
    "Control",
    "Counts",
    "Heartbeat",
    "Holder",
    "Inbox",
    "Integration",
    "IntegrationState",
    "Notice",
    "RunResult",
    "WriterLock",
    "holder",
    "writer_lock",
]
