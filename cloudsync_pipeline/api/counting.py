"""Every request counted and timed; whatever nobody foresaw becomes a 500 that says nothing of the inside."""

from __future__ import annotations

import logging
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudsync_pipeline.api.problems import Problem

log = logging.getLogger(__name__)

_NOWHERE = "none"
"""The route of a request for which there is none: paths as they come would be numberless."""
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RequestCounts:
    """What this process has answered since it began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("api_requests", "Requests answered by this process.", labels, registry=registry)
        self._seconds = Histogram(
            "api_request_duration_seconds",
            "Seconds until a request was answered.",
            ("method", "route"),
            buckets=_BOUNDS,
            registry=registry,
        )

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Counting:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0
        request_id = uuid.uuid4().hex

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            # Nothing may go by unanswered: the caller gets an id, the log has the traceback.
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if status:
                raise
            problem = Problem(
                500, "failed", "The server failed; its log says why.", instance=f"urn:uuid:{uuid.UUID(request_id)}"
            )
            await problem.answer()(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", _NOWHERE)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._counts.add(method, route, status, time.monotonic() - began)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
