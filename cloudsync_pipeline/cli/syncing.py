"""Syncs of one or many integrations, side by side, each ending for itself."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline import logs
from cloudsync_pipeline.cli import failures, render, stored
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, of_error_kind, of_verdict
from cloudsync_pipeline.core.errors import CloudSyncError, Paused

if TYPE_CHECKING:
    from cloudsync_pipeline.cli.progress import OnProgress
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.engine.results import Mode

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4
"""Integrations synced at once by one process, unless told otherwise."""

_JOBS = {"initial": "initial_sync", "incremental": "incremental_sync", "reconcile": "reconcile"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How the sync of one integration ended.

    Attributes:
        via: "dagster" or "direct".
        result: as `engine.results.SyncResult`, as JSON holds it; None where it never began.
        error: what ended it, as `failures.as_document` describes it.
    """

    integration: str
    via: str
    code: ExitCode
    run_id: str | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    skipped: bool = field(default=False)

    def document(self) -> dict[str, Any]:
        """This integration's part of the JSON output."""
        return {
            "integration": self.integration,
            "via": self.via,
            "run_id": self.run_id,
            "exit_code": self.code,
            "skipped": self.skipped,
            "result": self.result,
            "error": self.error,
        }


def new_run_id(now: datetime | None = None) -> str:
    """An id for a run that Dagster does not name; ids sort by time."""
    return f"{(now or datetime.now(UTC)):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


async def directly(
    fleet: Fleet,
    names: Sequence[str],
    mode: Mode,
    *,
    dry_run: bool = False,
    skip_paused: bool = False,
    side_by_side: int = SIDE_BY_SIDE,
    on_progress: OnProgress | None = None,
) -> list[Ended]:
    """Sync integrations in this process; the order of the answers is that of the names.

    Args:
        dry_run: plan only, store and send nothing.
        skip_paused: an integration that is paused or removed is no error (nobody named it).
        side_by_side: how many at once.
    """
    places = asyncio.Semaphore(side_by_side)

    async def one(name: str) -> Ended:
        async with places:
            run_id = new_run_id()
            with logs.about(integration=name, run_id=run_id):
                try:
                    result = await _sync(fleet, name, mode, run_id, dry_run, on_progress)
                except CloudSyncError as error:
                    return _ended_by(error, name, "direct", run_id, skip_paused=skip_paused)
            return Ended(name, "direct", of_verdict(result["verdict"]), run_id, result)

    # A defect that one of them meets must not end the others.
    ended = await asyncio.gather(*map(one, names), return_exceptions=True)
    return [_settled(name, what) for name, what in zip(names, ended, strict=True)]


def _settled(name: str, what: Ended | BaseException) -> Ended:
    if isinstance(what, Ended):
        return what
    if not isinstance(what, Exception):
        raise what
    log.error("the sync of %s ended unexpectedly", name, exc_info=what, extra={"details": True, "integration": name})
    render.note(
        render.printable(
            f"error: {name}: unexpected {type(what).__name__}: {what}. The log, and --debug, show its traceback."
        )
    )
    return Ended(name, "direct", ExitCode.UNEXPECTED, error=failures.as_document(what) | {"integration": name})


async def _sync(
    fleet: Fleet, name: str, mode: Mode, run_id: str, dry_run: bool, on_progress: OnProgress | None
) -> Mapping[str, Any]:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.engine.sync import sync

    fleet.integration(name)
    purpose = f"{mode.value} {'plan' if dry_run else 'sync'}"
    async with wiring.open_session(fleet, name, run_id=run_id, purpose=purpose) as session:
        if on_progress is not None:
            session.on_progress = on_progress
        result = await sync(session, mode, run_id=run_id, dry_run=dry_run)
    document: Mapping[str, Any] = render.as_json(result)
    return document


def by_dagster(fleet: Fleet, names: Sequence[str], mode: Mode, *, skip_paused: bool, quiet: bool) -> list[Ended]:
    """Launch one run an integration in the configured Dagster instance, and wait for all of them.

    They run side by side as Dagster's own limits allow. Ctrl-C ends the waiting, and the runs.
    """
    from cloudsync_pipeline import launch, wiring

    launch.require_daemon()
    launched: dict[str, str] = {}
    ended: dict[str, Ended] = {}
    try:
        with wiring.open_control(fleet.settings) as control, launch.launcher() as start:
            for name in names:
                try:
                    tags = launch.run_tags(fleet.integration(name))
                    control.ensure(name)
                    control.require_active(name)
                    launched[name] = start(_JOBS[mode.value], name, {}, tags)
                    render.note(f"{name}: launched run {launched[name]} in Dagster")
                except CloudSyncError as error:
                    ended[name] = _ended_by(error, name, "dagster", None, skip_paused=skip_paused)
        for name, run_id in launched.items():
            status = launch.wait(run_id, _Narrator(name, quiet=quiet))
            ended[name] = _ended_in_dagster(fleet, name, run_id, status)
    except KeyboardInterrupt:
        for name, run_id in launched.items():
            if name not in ended and launch.terminate(run_id):
                render.note(f"{name}: asked run {run_id} to end")
        raise
    return [ended[name] for name in names]


class _Narrator:
    """Shows what a run says of its steps."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._quiet = quiet

    def __call__(self, event: Any) -> None:
        if event.level in {"ERROR", "CRITICAL"}:
            log.debug("%s: %s: %s", self._name, event.step, event.message)
        elif not self._quiet and event.step and event.message.startswith("Finished execution of step"):
            render.note(f"{self._name}: {event.step} finished")


def _ended_in_dagster(fleet: Fleet, name: str, run_id: str, status: str) -> Ended:
    from cloudsync_pipeline import launch

    result = stored.result(fleet.settings, name, run_id)
    if result is not None and result["verdict"] != "failed":
        return Ended(name, "dagster", of_verdict(result["verdict"]), run_id, result)
    failure = launch.failure(run_id)
    code = of_error_kind(failure.kind) if failure else ExitCode.UNEXPECTED
    error = {
        "kind": failure.kind if failure else f"Dagster{status.title()}",
        "message": failure.message if failure else f"The run ended as {status} before it could report.",
        "integration": name,
        "key": None,
        "remedy": (failure.remedy if failure else None) or f"Its log is in the Dagster web UI under run {run_id}.",
        "retryable": bool(failure and failure.retryable),
        "exit_code": code,
    }
    render.note(f"error: {render.printable(str(error['message']))}")
    return Ended(name, "dagster", code, run_id, result, error)


def _ended_by(error: CloudSyncError, name: str, via: str, run_id: str | None, *, skip_paused: bool) -> Ended:
    if error.integration is None:
        error.integration = name
    if skip_paused and isinstance(error, Paused):
        render.note(f"{error}")
        return Ended(name, via, ExitCode.OK, None, skipped=True)
    log.debug("the sync of %s ended", name, exc_info=error)
    failures.tell(error)
    return Ended(name, via, of_error(error), run_id, None, failures.as_document(error))
