"""The integrations: which there are, and how each stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from cloudsync_pipeline.api import lines
from cloudsync_pipeline.api.access import Reader, Served
from cloudsync_pipeline.api.cursors import cursor, place
from cloudsync_pipeline.api.models import Cursor, IntegrationDetails, Integrations, Limit, Name
from cloudsync_pipeline.api.problems import documented
from cloudsync_pipeline.control import Control

router = APIRouter(tags=["integrations"])

_RECENT = 10
"""Runs that are shown of an integration."""

State = Literal["active", "paused", "removed", "new", "broken"]


@router.get("/integrations", responses=documented())
async def integrations(
    world: Served,
    _: Reader,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Integrations:
    """The fleet, by name."""
    fleet, now = world.fleet, datetime.now(UTC)
    after = place("integrations", cursor, str)[0] if cursor else ""
    known = await world.ask_control(lambda control: {one.name: one for one in control.list()})
    found = [lines.line(fleet, name, known.get(name), now) for name in lines.names(fleet, known) if name > after]
    found = [one for one in found if state is None or one.state == state]
    page = found[:limit]
    more = len(found) > limit
    return Integrations(integrations=page, next_cursor=_cursor(page[-1].id) if more else None)


@router.get("/integrations/{id}", responses=documented(404))
async def integration(name: Name, world: Served, _: Reader) -> IntegrationDetails:
    """One integration: what it connects, what it holds and owes, and how its newest runs ended."""
    known = await world.known(name)
    fleet = world.fleet

    def ask(control: Control) -> IntegrationDetails:
        backlog = control.inbox.backlogs().get(name)
        config = fleet.integrations.get(name)
        return IntegrationDetails(
            **lines.line(fleet, name, known, datetime.now(UTC)).model_dump(),
            configured=lines.ends(config) if config else None,
            waiting_events=backlog.count if backlog else 0,
            recent_runs=[lines.ended(one) for one in control.results(name, limit=_RECENT)],
        )

    return await world.ask_control(ask)


def _cursor(name: str) -> str:
    return cursor("integrations", name)
