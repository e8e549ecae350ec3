"""The commands put together, and the one place where their errors become messages and exit codes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cloudsync_pipeline.cli import failures, render
from cloudsync_pipeline.cli.commands import (
    alerts,
    api,
    backups,
    connections,
    consume,
    daemon,
    decisions,
    exports,
    fleet,
    guidance,
    inbox,
    maintenance,
    servers,
    showing,
    syncs,
)
from cloudsync_pipeline.cli.exit_codes import explained, of_error
from cloudsync_pipeline.cli.invocation import Invocation
from cloudsync_pipeline.core.errors import CloudSyncError


class Commands(TyperGroup):
    """The outermost group: an error that a person can act on becomes a message and an exit code here."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's own context class is private
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CloudSyncError as error:
            failures.tell(error)
            called = ctx.find_object(Invocation)
            if called is not None and called.json:
                render.emit_json({"error": failures.as_document(error)})
            raise typer.Exit(of_error(error)) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    # Typer's own would show tracebacks with the values of local variables, secrets among them.
    pretty_exceptions_enable=False,
    epilog=explained(),
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def cloudsync(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The main configuration file; by default CLOUDSYNC_CONFIG, else cloudsync.yaml, else the environment.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log at its configured level.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show all that is logged, and tracebacks.")] = False,
) -> None:
    """Keep a company's file manager in step with its customers' storage."""
    before = context.find_object(Invocation) or Invocation()
    before.config, before.verbose, before.debug = config, verbose, debug
    context.obj = before


_GROUPS = (
    syncs,
    showing,
    exports,
    decisions,
    fleet,
    connections,
    alerts,
    inbox,
    daemon,
    consume,
    maintenance,
    api,
    backups,
    servers,
    guidance,
)
"""In the order of `--help`."""

for group in _GROUPS:
    group.add_to(app)


def run() -> None:
    """Run this process's command line, and exit."""
    whole = Invocation()
    sys.excepthook = partial(_unexpected, whole)
    get_command(app)(prog_name="cloudsync", obj=whole)


def _unexpected(
    whole: Invocation, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    # Python itself exits with code 1 afterwards, which is ExitCode.UNEXPECTED.
    if not isinstance(error, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    failures.tell_unexpected(error, whole)
    if whole.json:
        render.emit_json({"error": failures.as_document(error)})
