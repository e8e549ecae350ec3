"""`help`: what `--help` says, as a command."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudsync_pipeline.cli import render


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("help")(help_)


def help_(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(help="A command, as in `help integrations pause`.")] = None,
) -> None:
    """Show the commands, or one of them."""
    shown = context.find_root()
    for word in command or ():
        found = getattr(shown.command, "commands", {}).get(word)
        if found is None:
            raise typer.BadParameter(f"there is no command {word!r}; `cloudsync help` lists them", param_hint="COMMAND")
        shown = type(shown)(found, info_name=word, parent=shown)
    render.say(shown.get_help())
