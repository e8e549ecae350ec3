"""Syncs: launched, and looked at."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Annotated

import anyio
from fastapi import APIRouter, Path, Request

from cloudsync_pipeline import launch
from cloudsync_pipeline.api import lines
from cloudsync_pipeline.api.access import Reader, Served, Syncer
from cloudsync_pipeline.api.keys import Caller
from cloudsync_pipeline.api.launching import JOBS, Launching
from cloudsync_pipeline.api.models import Accepted, RunDetails, SyncRequest, SyncStatus
from cloudsync_pipeline.api.problems import Problem, documented
from cloudsync_pipeline.api.world import World
from cloudsync_pipeline.control import Control, Integration, RunResult
from cloudsync_pipeline.core.errors import CloudSyncError

log = logging.getLogger(__name__)
router = APIRouter(tags=["syncs"])

_ERRORS = documented(400, 404, 408, 409, 413)


@router.post("/sync/initial", status_code=202, responses=_ERRORS)
async def initial(body: SyncRequest, request: Request, world: Served, caller: Syncer) -> Accepted:
    """Bring every object of an integration over, for the first time. Answers once Dagster took the run."""
    return await _launch(request, world, caller, "initial", body.integration)


@router.post("/sync/incremental", status_code=202, responses=_ERRORS)
async def incremental(body: SyncRequest, request: Request, world: Served, caller: Syncer) -> Accepted:
    """Bring over what changed. Answers once Dagster took the run."""
    return await _launch(request, world, caller, "incremental", body.integration)


@router.post("/sync/reconcile", status_code=202, responses=_ERRORS)
async def reconcile(body: SyncRequest, request: Request, world: Served, caller: Syncer) -> Accepted:
    """A full scan: prove that no change was missed. Answers once Dagster took the run."""
    return await _launch(request, world, caller, "reconcile", body.integration)


@router.get("/sync/status", responses=documented())
async def status(world: Served, _: Reader) -> SyncStatus:
    """How the fleet stands: how many integrations are in which state, what runs, what needs a person."""
    fleet, now = world.fleet, datetime.now(UTC)

    def ask(control: Control) -> SyncStatus:
        known = {one.name: one for one in control.list()}
        return lines.status(fleet, known, control.heartbeats.all(), control.inbox.backlogs(), now)

    return await world.ask_control(ask)


@router.get("/runs/{id}", responses=documented(404))
async def run(
    run_id: Annotated[str, Path(alias="id", max_length=200, description="As a launch answered, or a list told.")],
    world: Served,
    _: Reader,
) -> RunDetails:
    """A run: queued, running or ended, and what it reported."""

    def ask(control: Control) -> tuple[RunResult | None, Integration | None]:
        result = control.result(run_id)
        return result, next((one for one in control.list() if one.last_run_id == run_id), None)

    result, last = await world.ask_control(ask)
    known = await anyio.to_thread.run_sync(_in_dagster, run_id)
    if result is not None:
        return RunDetails(
            run_id=run_id,
            integration=result.integration,
            mode=result.mode,
            status=known.status.lower() if known else "finished",
            verdict=result.verdict,
            started_at=result.started_at,
            finished_at=result.finished_at,
            results=dict(result.results),
        )
    if known is None and last is None:
        raise Problem(404, "no-run", "There is no run of that id, or it is forgotten.")
    return RunDetails(
        run_id=run_id,
        integration=last.name if last else known.integration if known else None,
        mode=last.last_mode if last else known.kind if known else None,
        status=known.status.lower() if known else "running",
        verdict=None,
        started_at=last.last_started_at if last else None,
        finished_at=None,
        results=None,
    )


async def _launch(request: Request, world: World, caller: Caller, mode: str, name: str) -> Accepted:
    config = await world.configured(name)
    await world.ask_control(lambda control: (control.ensure(name), control.require_active(name)))
    launching: Launching = request.app.state.launching
    run_id, new = await launching.launch(JOBS[mode], name, launch.run_tags(config))
    log.info("%s asked for %s: run %s%s", caller.name, mode, run_id, "" if new else " waits already",
             extra={"integration": name})  # fmt: skip
    return Accepted(run_id=run_id, integration=name, job=JOBS[mode], new=new)


def _in_dagster(run_id: str) -> launch.ActiveRun | None:
    if not launch.instance_configured():
        return None
    try:
        return launch.look_up(run_id)
    except CloudSyncError as error:
        log.warning("Dagster could not be asked about run %s: %s", run_id, error)
        return None
