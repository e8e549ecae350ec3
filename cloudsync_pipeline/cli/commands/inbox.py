"""`inbox`: an event that something else received is handed to an integration."""

from __future__ import annotations

import json as jsons
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cloudsync_pipeline.cli import invocation, render
from cloudsync_pipeline.cli.options import Json
from cloudsync_pipeline.core.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Register this command."""
    app.command(epilog='JSON: {"integration", "stored"}; 0 are stored where the same event waits already.')(inbox)


def inbox(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The integration, one whose feed is `inbox`.", metavar="NAME")],
    file: Annotated[
        Path,
        typer.Argument(
            help="Holds one JSON object: a notification of S3, MinIO, EventBridge or SeaweedFS, or an event of the "
            "HTTP API's shape. Standard input by default.",
            metavar="[FILE|-]",
            show_default=False,
        ),
    ] = Path("-"),
    json: Json = False,
) -> None:
    """Keep an event for an integration's next sync.

    For whatever receives a storage's notifications, like a webhook's handler. Once this ends well, the event is stored.
    """
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.control import Notice

    fleet = invocation.of(context, json=json).fleet()
    feed = fleet.integration(name).feed
    if feed is None or feed.type != "inbox":
        raise ConfigError(
            "No sync of this integration would read its inbox.",
            integration=name,
            remedy="Give it `feed: {type: inbox}`.",
        )
    body = _object(file)
    with wiring.open_control(fleet.settings) as control:
        control.ensure(name)
        stored = control.inbox.put(name, [Notice(body)])
    if json:
        render.emit_json({"integration": name, "stored": stored})
    else:
        render.say(f"{name}: {stored} stored" + ("" if stored else "; the same event waits already"))


def _object(file: Path) -> dict[str, Any]:
    shown = "standard input" if file == Path("-") else str(file)
    try:
        text = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
        value = jsons.loads(text, parse_constant=_no_json)
    except OSError as error:
        raise typer.BadParameter(f"{shown} cannot be read: {error.strerror}", param_hint="FILE") from error
    except (ValueError, RecursionError) as error:
        # The parser's message tells the place, never the content.
        why = error if isinstance(error, jsons.JSONDecodeError) else "it cannot be decoded"
        raise typer.BadParameter(f"{shown} is not JSON: {why}", param_hint="FILE") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{shown} is JSON, but no object, as every notification is", param_hint="FILE")
    return value


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)
