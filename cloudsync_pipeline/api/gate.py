"""Who is let in, and how often: decided before anything of a request's body is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from cloudsync_pipeline.api.addresses import host_of, is_loopback
from cloudsync_pipeline.api.keys import LOCAL, Caller, whose
from cloudsync_pipeline.api.problems import Problem
from cloudsync_pipeline.api.rates import Rates
from cloudsync_pipeline.config.settings import ApiSettings

CALLER = "cloudsync.caller"
"""Where the caller stands in a request's scope."""

OPEN = frozenset({"/live", "/ready", "/openapi.json", "/docs"})
"""What everybody may see: whether the server works, and how it is called; nothing of any customer."""

ASSETS = "/docs/assets/"


class Gate:
    """ASGI middleware: 401 without a known key, 429 for too many requests.

    Args:
        settings: asked for each request, so that a key that is taken out of the configuration stops working.
        local_only: nobody but this host can reach the server; without keys, whoever does is let in.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], ApiSettings], *, local_only: bool) -> None:
        self._app = app
        self._settings = settings
        self._local_only = local_only
        self._rates = Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection, settings = HTTPConnection(scope), self._settings()
        caller, problem = self._caller(connection, settings)
        who = f"key:{caller.name}" if caller and caller is not LOCAL else f"address:{_address(scope)}"
        wait = self._rates.take(who, per_second=settings.requests_per_second, burst=settings.burst)
        if wait:
            problem = Problem(
                429,
                "too-many-requests",
                "Too many requests came from this caller.",
                headers={"Retry-After": str(math.ceil(wait))},
                remedy="Wait as long as Retry-After says.",
            )
        elif problem is not None and _is_open(scope["path"]):
            problem = None
        if problem is not None:
            await problem.answer()(scope, receive, send)
            return
        scope[CALLER] = caller
        await self._app(scope, receive, send)

    def _caller(self, connection: HTTPConnection, settings: ApiSettings) -> tuple[Caller | None, Problem | None]:
        if not settings.keys and self._local_only:
            problem = _not_from_here(connection)
            return (LOCAL, None) if problem is None else (None, problem)
        kind, _, key = connection.headers.get("authorization", "").partition(" ")
        caller = whose(key.strip(), settings.keys) if kind.lower() == "bearer" else None
        if caller is not None:
            return caller, None
        return None, Problem(
            401,
            "unauthorized",
            "The key is missing, or is not known.",
            headers={"WWW-Authenticate": "Bearer"},
            remedy="Send `Authorization: Bearer KEY` with a key whose hash is configured under `api.keys`.",
        )


def _not_from_here(connection: HTTPConnection) -> Problem | None:
    """Without keys, being on this host is all the proof there is: a web page or a proxy must not borrow it."""
    host = host_of(connection.headers.get("host", ""))
    origin = connection.headers.get("origin")
    foreign = origin is not None and not is_loopback(urlsplit(origin).hostname or "")
    passed_on = any(name in connection.headers for name in ("x-forwarded-for", "forwarded"))
    if is_loopback(host) and not foreign and not passed_on:
        return None
    return Problem(
        403,
        "not-local",
        "No keys are configured, so that only programs of this host may call, by its own name.",
        remedy="Configure `api.keys`; `cloudsync api-key` makes one.",
    )


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(ASSETS)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"
