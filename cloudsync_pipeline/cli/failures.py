"""How an error is told: one message that names the integration and what to do, never a stack trace unasked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.cli import render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error
from cloudsync_pipeline.core.errors import CloudSyncError

if TYPE_CHECKING:
    from cloudsync_pipeline.cli.invocation import Invocation

log = logging.getLogger(__name__)


def as_document(error: BaseException) -> dict[str, Any]:
    """An error in JSON output: `kind`, `message`, `integration`, `key`, `remedy`, `retryable`, `exit_code`."""
    if isinstance(error, CloudSyncError):
        return {
            "kind": type(error).__name__,
            "message": error.message,
            "integration": error.integration,
            "key": error.key,
            "remedy": error.remedy,
            "retryable": error.retryable,
            "exit_code": of_error(error),
        }
    return {
        "kind": type(error).__name__,
        "message": "An unexpected error.",
        "integration": None,
        "key": None,
        "remedy": None,
        "retryable": False,
        "exit_code": ExitCode.UNEXPECTED,
    }


def tell(error: CloudSyncError) -> None:
    """Print one error that a person can act on."""
    render.note(f"error: {render.printable(str(error))}")


def tell_unexpected(error: Exception, invocation: Invocation) -> None:
    """Print that something went wrong which nobody foresaw, and where its traceback is."""
    log.error("unexpected error", exc_info=error, extra={"details": True})
    if invocation.shows_tracebacks:
        where = "The traceback stands above."
    elif invocation.log_file is not None:
        where = f"Its traceback is in {invocation.log_file}."
    else:
        where = "Run it again with --debug for its traceback."
    render.note(f"error: unexpected {type(error).__name__}: {render.printable(str(error))[:500]}. {where}")
