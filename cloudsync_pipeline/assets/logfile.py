"""The configured log file, beside Dagster's own logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cloudsync_pipeline import logs
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.resources import FleetResource

log = logging.getLogger(__name__)


@contextmanager
def logged(context: dg.OpExecutionContext | dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[None]:
    """Write what a step says, and why it fails, to `logging.file`, with its run id and integration.

    The lines that the step says after this ends are written, too.

    Raises:
        ConfigError: the configuration cannot be used, or the file cannot be written.
    """
    integration, run_id = context.partition_key, context.run.run_id
    file = logs.configure_file(fleet.load().settings.logging)
    if file is None:
        with logs.about(integration=integration, run_id=run_id):
            yield
        return

    def mark(record: logging.LogRecord) -> bool:
        record.integration, record.run_id = integration, run_id
        return True

    # A run's log is a logger outside the hierarchy: nothing of it propagates.
    context.log.addFilter(mark)
    # First: Dagster's handler writes job, run and step into the message.
    context.log.handlers.insert(0, file)
    file.addFilter(_is_a_line)
    with logs.about(integration=integration, run_id=run_id):
        try:
            yield
        except BaseException as error:
            # Dagster's event log shows it already: this one is for the file alone.
            why = str(error) if isinstance(error, CloudSyncError) else f"It ended unexpectedly: {error!r}"
            trace = None if isinstance(error, CloudSyncError) else (type(error), error, error.__traceback__)
            file.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, why, (), trace))
            raise


def _is_a_line(record: logging.LogRecord) -> bool:
    """Not an event of Dagster's, which it stores itself."""
    return not hasattr(record, "dagster_event")
