"""`daemon`: what Dagster's schedules do, without Dagster."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudsync_pipeline.cli import interrupts, invocation
from cloudsync_pipeline.cli.options import SideBySide


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("daemon")(daemon)


def daemon(
    context: typer.Context,
    side_by_side: SideBySide = 4,
    tick: Annotated[float, typer.Option("--tick", min=0.1, help="Seconds between two looks at what is due.")] = 5.0,
) -> None:
    """Sync whatever is due, until stopped.

    For machines without Dagster; it refuses to run beside Dagster's schedules.

    An integration gets its initial sync first, then incremental ones at its own interval, and full scans when they
    are due; its stored state is maintained once a day. An error ends nothing but that sync. SIGTERM and Ctrl-C end
    it in order, within 30 seconds.
    """
    from cloudsync_pipeline.cli import daemon_loop

    called = invocation.of(context)
    # It has no other output than its log.
    called.verbose = True
    interrupts.run(daemon_loop.run(called.fleet, side_by_side=side_by_side, tick=tick))
