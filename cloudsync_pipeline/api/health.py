"""Whether everything works: each component asked, side by side, not too often and not for too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from cloudsync_pipeline import launch
from cloudsync_pipeline.api.access import Reader, Served
from cloudsync_pipeline.api.models import Component, Health, IntegrationHealth, Live, Ready
from cloudsync_pipeline.api.problems import Problem, documented, no_integration
from cloudsync_pipeline.api.world import World
from cloudsync_pipeline.control import IntegrationState
from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError, StateError, Unreachable
from cloudsync_pipeline.wiring import checks
from cloudsync_pipeline.wiring.checks import Checked

log = logging.getLogger(__name__)
router = APIRouter(tags=["operation"])

FRESH = 30.0
"""Seconds for which an answer counts."""
EACH = 10.0
"""Seconds that one component has."""
WITHIN = 12.0
"""Seconds after which the whole is answered with what is known; the rest goes on and is known next time."""
AT_ONCE = 16
"""Integrations that are asked side by side."""

_FAILED = {**documented()[503], "model": Health, "description": "A component of the fleet itself fails."}

Status = Literal["ok", "failed", "unknown"]
Checks = Sequence[tuple[str, Callable[[], Awaitable[Checked]]]]


@dataclass(frozen=True, slots=True)
class _Known:
    checked: Checked
    at: datetime


class HealthChecks:
    """Asks, and remembers the answers for a while. For one event loop."""

    def __init__(self, world: World, *, fresh: float = FRESH, each: float = EACH, within: float = WITHIN) -> None:
        self._world = world
        self._fresh, self._each, self._within = fresh, each, within
        self._known: dict[tuple[str | None, str], _Known] = {}
        self._asked_at: dict[str | None, float] = {}
        self._asking: dict[str | None, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def look(self, only: str | None = None) -> tuple[Sequence[Component], dict[str, Sequence[Component]]]:
        """The fleet's own components, and those of each active integration, or of one.

        Raises:
            Problem: 404, there is no such integration.
        """
        names = await self._names(only)
        tasks = [self._ask(None, self._of_fleet()), *(self._ask(name, self._of(name)) for name in names)]
        if waiting := [task for task in tasks if task is not None]:
            await asyncio.wait(waiting, timeout=self._within)
        own = [self._component(None, what) for what, _ in self._of_fleet()]
        return own, {name: [self._component(name, what) for what, _ in self._of(name)] for name in names}

    async def close(self) -> None:
        """Stop asking."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _names(self, only: str | None) -> list[str]:
        fleet = self._world.fleet
        configured = sorted({*fleet.integrations, *fleet.errors})
        if only is not None:
            if only not in configured:
                raise no_integration(only)
            return [only]
        try:
            known = await asyncio.wait_for(self._world.ask_control(lambda control: control.list()), self._each)
        except (CloudSyncError, TimeoutError):
            # The control database's own check tells it.
            return configured
        idle = {one.name for one in known if one.state is not IntegrationState.ACTIVE}
        return [name for name in configured if name not in idle]

    def _ask(self, name: str | None, components: Checks) -> asyncio.Task[None] | None:
        """A task that asks all of them, unless one does already or did a moment ago."""
        loop = asyncio.get_running_loop()
        task = self._asking.get(name)
        if task is not None and not task.done():
            return task
        if loop.time() - self._asked_at.get(name, float("-inf")) < self._fresh:
            return None
        self._asked_at[name] = loop.time()
        self._asking[name] = task = loop.create_task(self._all(name, components))
        return task

    async def _all(self, name: str | None, components: Checks) -> None:
        async with self._places:
            await asyncio.gather(*(self._one(name, what, check) for what, check in components))

    async def _one(self, name: str | None, what: str, check: Callable[[], Awaitable[Checked]]) -> None:
        try:
            async with asyncio.timeout(self._each):
                found = await check()
        except TimeoutError:
            error = Unreachable(f"It did not answer within {self._each:g} seconds.", integration=name)
            found = Checked(name, what, error=error)
        except Exception:
            # A defect in one adapter must not hide how the others are.
            log.exception("the health of %s could not be asked", what, extra={"integration": name})
            error = Unreachable("It could not be asked; the log says why.", integration=name)
            found = Checked(name, what, error=error)
        self._known[name, what] = _Known(found, datetime.now(UTC))

    def _component(self, name: str | None, what: str) -> Component:
        known = self._known.get((name, what))
        if known is None:
            return Component(name=what, status="unknown", detail="not answered yet", remedy=None, checked_at=None)
        error = known.checked.error
        return Component(
            name=what,
            status="failed" if error else "ok",
            detail=error.message if error else known.checked.detail,
            remedy=error.remedy if error else None,
            checked_at=known.at,
        )

    # --- what is asked --------------------------------------------------------------------------

    def _of_fleet(self) -> Checks:
        return [
            ("configuration", self._configuration),
            ("control database", lambda: asyncio.to_thread(checks.check_control, self._world.fleet)),
            ("dagster", lambda: asyncio.to_thread(_dagster)),
        ]

    def _of(self, name: str) -> Checks:
        fleet = self._world.fleet

        async def configuration() -> Checked:
            return checks.check_configuration(fleet, name)

        def connection(what: str) -> Callable[[], Awaitable[Checked]]:
            return lambda: checks.check_connection(fleet, name, what)

        if name in fleet.errors:
            return [("configuration", configuration)]
        return [("configuration", configuration), *((what, connection(what)) for what in checks.CONNECTIONS)]

    async def _configuration(self) -> Checked:
        error = self._world.config_error
        return Checked(None, "configuration", f"{len(self._world.fleet.integrations)} integrations", error)


def _dagster() -> Checked:
    if not launch.instance_configured():
        return Checked(None, "dagster", "none configured: nothing can be launched here")
    try:
        alive = launch.daemon_alive()
    except ConfigError as error:
        return Checked(None, "dagster", error=error)
    if alive:
        return Checked(None, "dagster", "its daemon works on the run queue")
    missing = StateError("No Dagster daemon works on the run queue.", remedy="Start one: `dagster-daemon run`.")
    return Checked(None, "dagster", error=missing)


@router.get("/health", responses={**documented(404), 503: _FAILED})
async def health(
    request: Request,
    response: Response,
    _: Reader,
    integration: Annotated[str | None, Query(max_length=63, description="Only this one and the fleet's own.")] = None,
) -> Health:
    """Every component and each end of every active integration: asked every 30 seconds at most, for 10 seconds at most.

    503 where a component of the fleet itself fails; a customer's storage that fails degrades it.
    """
    found: HealthChecks = request.app.state.health
    own, of_integrations = await found.look(integration)
    details = [
        IntegrationHealth(id=name, status=_worst(components), components=list(components))
        for name, components in of_integrations.items()
    ]
    failed = _worst(own) == "failed"
    if failed:
        response.status_code = 503
    degraded = any(one.status == "failed" for one in details)
    return Health(
        status="failed" if failed else "degraded" if degraded else "ok", components=list(own), integrations=details
    )


@router.get("/ready", responses={503: documented()[503], 429: documented()[429]})
async def ready(world: Served) -> Ready:
    """Whether this process can answer: its configuration was read, and its control database can be."""
    try:
        await asyncio.wait_for(world.ask_control(lambda control: control.heartbeats.all()), EACH)
    except (CloudSyncError, TimeoutError):
        log.warning("not ready: the control database cannot be read", exc_info=True)
        raise Problem(
            503, "not-ready", "The control database cannot be read.", remedy="See the server's log, or /health."
        ) from None
    return Ready(ready=True)


@router.get("/live", responses={429: documented()[429]})
async def live() -> Live:
    """Whether this process answers at all."""
    return Live()


def _worst(components: Sequence[Component]) -> Status:
    found = {one.status for one in components}
    return "failed" if "failed" in found else "unknown" if "unknown" in found else "ok"
