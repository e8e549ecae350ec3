"""`test`: whether everything that an integration needs can be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from cloudsync_pipeline.cli import failures, interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, worst
from cloudsync_pipeline.cli.options import Integrations, Json
from cloudsync_pipeline.core.errors import CloudSyncError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at; `error` is what is wrong with it, if anything."""

    integration: str | None
    what: str
    detail: str = ""
    error: CloudSyncError | None = None

    @property
    def code(self) -> ExitCode:
        """What it means for the exit code."""
        return of_error(self.error) if self.error else ExitCode.OK


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    # Not named `test`: pytest would take it for one.
    app.command(
        "test",
        epilog='JSON: {"ok", "exit_code", "checks": [{"integration", "check", "ok", "detail", "error"}]}.',
    )(check_connections)


def check_connections(context: typer.Context, integration: Integrations = None, json: Json = False) -> None:
    """Check every connection.

    From end to end: control database, configuration, storage, file manager, event feed, stored state.
    """
    fleet = invocation.of(context, json=json).fleet()
    names = invocation.selected(fleet, integration)
    checks = interrupts.run(_all(fleet, names, quiet=json))
    code = worst(one.code for one in checks)
    if json:
        render.emit_json({"ok": code == ExitCode.OK, "exit_code": code, "checks": [_document(one) for one in checks]})
    raise typer.Exit(code)


def _document(one: Checked) -> dict[str, object]:
    return {
        "integration": one.integration,
        "check": one.what,
        "ok": one.error is None,
        "detail": one.detail,
        "error": failures.as_document(one.error) if one.error else None,
    }


async def _all(fleet: Fleet, names: Sequence[str], *, quiet: bool) -> list[Checked]:
    found: list[Checked] = []
    async for one in _each(fleet, names):
        found.append(one)
        if not quiet:
            _say(one)
    return found


def _say(one: Checked) -> None:
    where = f"{one.integration}: " if one.integration else ""
    if one.error is None:
        render.say(f"ok    {where}{one.what}" + (f": {one.detail}" if one.detail else ""))
        return
    # The integration stands in front already.
    remedy = f" {one.error.remedy}" if one.error.remedy else ""
    render.say(render.printable(f"FAIL  {where}{one.what}: {one.error.message}{remedy}"))


async def _each(fleet: Fleet, names: Sequence[str]) -> AsyncIterator[Checked]:
    yield _control(fleet)
    for name in names:
        if name in fleet.errors:
            yield Checked(name, "configuration", error=fleet.errors[name])
            continue
        yield Checked(name, "configuration")
        yield await _storage(fleet, name)
        yield await _file_manager(fleet, name)
        yield await _feed(fleet, name)
        yield _lake(fleet, name)


def _control(fleet: Fleet) -> Checked:
    from cloudsync_pipeline import wiring

    try:
        with wiring.open_control(fleet.settings) as control:
            count = len(control.list())
    except CloudSyncError as error:
        return Checked(None, "control database", error=error)
    return Checked(None, "control database", f"{count} integrations known")


async def _storage(fleet: Fleet, name: str) -> Checked:
    from cloudsync_pipeline import wiring

    try:
        async with wiring.open_storage(fleet.integration(name)) as storage:
            await storage.health()
            return Checked(name, "storage", _identity(storage.identity))
    except CloudSyncError as error:
        return Checked(name, "storage", error=error)


async def _file_manager(fleet: Fleet, name: str) -> Checked:
    from cloudsync_pipeline import wiring

    try:
        async with wiring.open_file_manager(fleet.integration(name)) as file_manager:
            await file_manager.connect()
            await file_manager.health()
            return Checked(name, "file manager", _identity(file_manager.identity))
    except CloudSyncError as error:
        return Checked(name, "file manager", error=error)


async def _feed(fleet: Fleet, name: str) -> Checked:
    from cloudsync_pipeline import wiring

    config = fleet.integration(name)
    if config.feed is None:
        return Checked(name, "event feed", "none; scanned at its interval")
    try:
        async with wiring.open_feed(config, fleet.settings) as feed:
            await feed.health()
            return Checked(name, "event feed", _identity(feed.identity))
    except CloudSyncError as error:
        return Checked(name, "event feed", error=error)


def _lake(fleet: Fleet, name: str) -> Checked:
    from cloudsync_pipeline import wiring

    if not invocation.has_lake(fleet, name):
        return Checked(name, "stored state", "none yet; the initial sync makes it")
    try:
        with wiring.open_lake(fleet.settings, name, read_only=True) as lake:
            return Checked(name, "stored state", f"snapshot {lake.current_snapshot()}")
    except CloudSyncError as error:
        return Checked(name, "stored state", error=error)


def _identity(identity: object) -> str:
    return ", ".join(f"{key} {value}" for key, value in dict(identity).items() if value)  # type: ignore[call-overload]
