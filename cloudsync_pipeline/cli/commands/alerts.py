"""`alerts`: whether messages arrive, and what has been told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cloudsync_pipeline.cli import failures, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, worst
from cloudsync_pipeline.cli.options import Json
from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError

if TYPE_CHECKING:
    from cloudsync_pipeline.alerts.telling import Channel


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(
        help="Check that alerts arrive, and see what has been told.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("test", epilog='JSON: {"ok", "exit_code", "channels": [{"channel", "ok", "error"}]}.')(send_test)
    group.command("list", epilog='JSON: {"alerts": [{"integration", "channel", "condition", "since", "told_at"}]}.')(
        list_told
    )
    app.add_typer(group, name="alerts")


def send_test(context: typer.Context, json: Json = False) -> None:
    """Send a test message by every channel that is configured."""
    from cloudsync_pipeline.alerts import channels

    called = invocation.of(context, json=json)
    ways = channels(called.fleet().settings.alerts)
    if not ways:
        raise ConfigError("No alerts are configured.", remedy="Add `alerts:` with `webhook:` or `email:`.")
    results = [(way.name, _sent(way)) for way in ways]
    code = worst(of_error(error) if error else ExitCode.OK for _, error in results)
    if json:
        render.emit_json(
            {"ok": code == ExitCode.OK, "exit_code": code, "channels": [_document(*one) for one in results]}
        )
    else:
        for name, error in results:
            render.say(render.printable(f"FAIL  {name}: {error}" if error else f"ok    {name}: sent"))
    raise typer.Exit(code)


def list_told(context: typer.Context, json: Json = False) -> None:
    """Show what has been told, and is not over yet."""
    from cloudsync_pipeline import wiring

    with wiring.open_control(invocation.of(context, json=json).fleet().settings) as control:
        told = control.alerts.told()
    if json:
        render.emit_json({"alerts": [render.as_json(one) for one in told]})
        return
    for one in told:
        render.say(f"{one.integration}: {one.condition} since {one.since:%Y-%m-%d %H:%M} UTC, told by {one.channel}")
    if not told:
        render.say("nothing is told that is not over")


def _sent(way: Channel) -> CloudSyncError | None:
    from cloudsync_pipeline.alerts.texts import test_message

    try:
        way.send(test_message())
    except CloudSyncError as error:
        return error
    return None


def _document(name: str, error: CloudSyncError | None) -> dict[str, Any]:
    return {"channel": name, "ok": error is None, "error": failures.as_document(error) if error else None}
