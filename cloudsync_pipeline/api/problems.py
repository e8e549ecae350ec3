"""Errors as problem documents: RFC 9457, "Problem Details for HTTP APIs"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from cloudsync_pipeline.core import errors
from cloudsync_pipeline.core.errors import CloudSyncError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        kind: a stable word for programs; becomes the document's `type`.
        detail: one sentence for people.
        headers: of the answer.
        also: further members of the document.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **also: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.also = {name: value for name, value in also.items() if value is not None}

    def answer(self) -> JSONResponse:
        """The document."""
        content = {
            "type": f"urn:cloudsync:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.also,
        }
        # Paths may hold what UTF-8 cannot: the text is escaped, as the lake escapes it, before it comes here.
        return JSONResponse(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


class WhatIsWrong(BaseModel):
    """One thing in a request that is not as described."""

    where: str = Field(description="the place, like `body.integration` or `query.limit`")
    what: str


class ProblemDocument(BaseModel):
    """What every error looks like."""

    type: str = Field(description="a stable name of the kind of problem")
    title: str
    status: int
    detail: str = Field(description="what happened, for people")
    integration: str | None = Field(None, description="the integration it happened to")
    remedy: str | None = Field(None, description="what to do next")
    errors: list[WhatIsWrong] | None = Field(None, description="what of the request is not as described")
    instance: str | None = Field(None, description="the request, as the server's log names it")


_STATUS: Sequence[tuple[type[CloudSyncError], int, str]] = (
    (errors.Paused, 409, "paused"),
    (errors.LockHeld, 409, "busy"),
    (errors.PlanStale, 409, "nothing-held"),
    (errors.SnapshotGone, 410, "snapshot-gone"),
    (errors.ConfigError, 503, "configuration"),
    (errors.StateError, 503, "state"),
    (errors.RemoteError, 502, "remote"),
)
"""The first that fits. Broken configuration is the server's fault, not the caller's."""

_RETRY_AFTER = 30
"""Seconds after which a busy integration may be asked again, where nobody said how long."""


def of_error(error: CloudSyncError) -> Problem:
    """An error of ours as a problem; its text names the remedy and holds no secret."""
    found = ((status, kind) for of, status, kind in _STATUS if isinstance(error, of))
    status, kind = next(found, (500, "failed"))
    headers = {}
    if error.retryable or error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after or _RETRY_AFTER))
    return Problem(status, kind, error.message, headers=headers, integration=error.integration, remedy=error.remedy)


def no_integration(name: str, remedy: str | None = None) -> Problem:
    """None of that name is configured or remembered."""
    return Problem(404, "no-integration", f"There is no integration {name!r}.", remedy=remedy)


_MEANINGS = {
    400: "The body is no JSON.",
    401: "No key, or one that is not known.",
    403: "The key has not the scope that this takes.",
    404: "There is none of that name.",
    408: "The body did not arrive in time.",
    409: "Not as things stand: the integration is paused, busy, or cannot take this.",
    410: "The state asked for has expired.",
    413: "The body is too large.",
    422: "The request is not as described.",
    429: "Too many requests; `Retry-After` says when to go on.",
    502: "A storage, feed or file manager did not do what was asked.",
    503: "The server, its state or Dagster cannot serve this now.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its errors in OpenAPI; those that any route may answer come of themselves."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in sorted({*statuses, 401, 403, 422, 429, 503})
    }
