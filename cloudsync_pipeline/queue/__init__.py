"""Requests for syncs that arrive as messages of a RabbitMQ queue, and what becomes of them.

`requests` says what a message means, `accepting` makes a run of it, `broker` how RabbitMQ is spoken to,
`consumer` in which order. Importing this costs neither pika nor Dagster.
"""

from cloudsync_pipeline.queue.accepting import Accepted, Launching
from cloudsync_pipeline.queue.requests import Refused, SyncRequest, parse

__all__ = ["Accepted", "Launching", "Refused", "SyncRequest", "parse"]
