"""The application: its routes, what stands before them, and how errors are answered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry, disable_created_metrics
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from cloudsync_pipeline.api import contents, events, fleet, health, metrics, plans, syncing
from cloudsync_pipeline.api.bodies import BodyLimit
from cloudsync_pipeline.api.counting import Counting, RequestCounts
from cloudsync_pipeline.api.docs import DESCRIPTION, add_docs
from cloudsync_pipeline.api.gate import Gate
from cloudsync_pipeline.api.health import HealthChecks
from cloudsync_pipeline.api.launching import Launching
from cloudsync_pipeline.api.metrics import FleetCollector
from cloudsync_pipeline.api.problems import Problem, WhatIsWrong, of_error
from cloudsync_pipeline.api.world import World
from cloudsync_pipeline.core.errors import CloudSyncError

log = logging.getLogger(__name__)

_ROOMS = (syncing, fleet, contents, plans, events, health, metrics)


def create_app(config: Path | None = None, *, local_only: bool) -> FastAPI:
    """The application.

    Args:
        config: the main configuration file; None for the usual places.
        local_only: nobody but this host can reach it; only then it lets anybody in where no keys are configured.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    world = World(config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Both belong to the event loop that serves.
        app.state.health = HealthChecks(world)
        app.state.launching = Launching()
        try:
            yield
        finally:
            await app.state.health.close()
            await app.state.launching.close()
            world.close()

    app = FastAPI(
        title="cloudsync",
        version=metrics.version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.world = world
    # When a counter began is told by Prometheus itself, from its going back.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    app.state.registry = registry = CollectorRegistry()
    for room in _ROOMS:
        app.include_router(room.router)
    add_docs(app)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(CloudSyncError, _told)
    app.add_exception_handler(RequestValidationError, _not_as_described)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, most=lambda: world.fleet.settings.api.max_body)
    app.add_middleware(Gate, settings=lambda: world.fleet.settings.api, local_only=local_only)
    app.add_middleware(Counting, counts=RequestCounts(registry))
    registry.register(FleetCollector(lambda: world.fleet_as_read, world.control))
    return app


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it alone
    return error.answer()


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, CloudSyncError)  # noqa: S101 - registered for it alone
    problem = of_error(error)
    if problem.status >= 500:
        log.warning("%s", error, exc_info=error, extra={"integration": error.integration})
    return problem.answer()


async def _not_as_described(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(400, "no-json", "The body is not JSON.").answer()
    # What was sent is not said back: it may be anything.
    wrong = [WhatIsWrong(where=".".join(map(str, one["loc"])), what=one["msg"]).model_dump() for one in found]
    return Problem(422, "invalid", "The request is not as described.", errors=wrong).answer()


_KINDS = {404: "not-found", 405: "method-not-allowed", 408: "too-slow", 413: "too-large"}


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    kind = _KINDS.get(error.status_code, "http")
    return Problem(error.status_code, kind, str(error.detail), headers=error.headers or {}).answer()


async def _gone(_: Request, __: Exception) -> Response:
    return Problem(400, "gone", "The caller went away.").answer()
