"""Our errors as Dagster shows them: what happened, to which integration, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from cloudsync_pipeline.core.errors import CloudSyncError


@contextmanager
def as_failures(integration: str) -> Iterator[None]:
    """Turn an error of ours into a failed step; anything else is a defect and keeps its stack trace."""
    try:
        yield
    except CloudSyncError as error:
        raise failure_of(error, integration) from None


def failure_of(error: CloudSyncError, integration: str) -> dg.Failure:
    """The failure that says what `error` says."""
    metadata: dict[str, Any] = {
        "integration": error.integration or integration,
        "error": type(error).__name__,
        "retryable": error.retryable,
    }
    if error.key is not None:
        metadata["key"] = error.key
    if error.remedy is not None:
        metadata["remedy"] = error.remedy
    if error.retry_after is not None:
        metadata["retry_after_seconds"] = error.retry_after
    return dg.Failure(description=_described(error, integration), metadata=metadata, allow_retries=error.retryable)


def _described(error: CloudSyncError, integration: str) -> str:
    text = str(error)
    return text if error.integration else f"{integration}: {text}"
