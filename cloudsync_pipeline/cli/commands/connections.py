"""`test`: whether everything that an integration needs can be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import typer

from cloudsync_pipeline.cli import failures, interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, worst
from cloudsync_pipeline.cli.options import Integrations, Json

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.wiring.checks import Checked


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    # Not named `test`: pytest would take it for one.
    app.command(
        "test",
        epilog='JSON: {"ok", "exit_code", "checks": [{"integration", "check", "ok", "detail", "error"}]}.',
    )(check_connections)


def check_connections(context: typer.Context, integration: Integrations = None, json: Json = False) -> None:
    """Check every connection.

    From end to end: control database, DuckDB's extensions, configuration, storage, file manager, event feed, stored
    state.
    """
    fleet = invocation.of(context, json=json).fleet()
    names = invocation.selected(fleet, integration)
    checks = interrupts.run(_all(fleet, names, quiet=json))
    code = worst(of_error(one.error) for one in checks if one.error)
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
    from cloudsync_pipeline.wiring import checks

    yield checks.check_control(fleet)
    yield checks.check_extensions(fleet)
    for name in names:
        configuration = checks.check_configuration(fleet, name)
        yield configuration
        if configuration.error is None:
            for what in checks.CONNECTIONS:
                yield await checks.check_connection(fleet, name, what)
