"""What holds for the whole command line, and what most commands begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cloudsync_pipeline.cli import render

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet


@dataclass(slots=True)
class Invocation:
    """One run of the command.

    Attributes:
        config: the main configuration file, where the command line names one.
        debug: show everything that is logged, and tracebacks.
        verbose: show what is logged at the configured level.
        json: the result goes out as JSON; errors, too.
        log_file, shows_tracebacks: what the logging set up so far does.
    """

    config: Path | None = None
    debug: bool = False
    verbose: bool = False
    json: bool = False
    log_file: Path | None = None
    shows_tracebacks: bool = False

    def fleet(self) -> Fleet:
        """Read the configuration, and log as it says.

        Raises:
            ConfigError: the main file cannot be used.
        """
        from cloudsync_pipeline import logs
        from cloudsync_pipeline.config import load_fleet

        fleet = load_fleet(self.config)
        settings = fleet.settings.logging
        if self.debug or settings.level == "DEBUG":
            console = "DEBUG"
        else:
            console = settings.level if self.verbose else max("WARNING", settings.level, key=logs.rank)
        self.shows_tracebacks = self.verbose or console == "DEBUG"
        logs.configure(settings, console=console, details=self.shows_tracebacks)
        self.log_file = settings.file
        return fleet


def of(context: typer.Context, *, json: bool = False) -> Invocation:
    """The invocation of a command that is running."""
    invocation = context.find_object(Invocation)
    if invocation is None:
        invocation = context.obj = Invocation()
    invocation.json = json
    return invocation


def selected(fleet: Fleet, names: Sequence[str] | None) -> list[str]:
    """The integrations that a command is about: those named, in that order, else all, broken ones too.

    Raises:
        ConfigError: there is none of a name that was given; it says which name is near.
    """
    if names:
        for name in names:
            if name not in fleet.errors:
                fleet.integration(name)
        return list(dict.fromkeys(names))
    everything = sorted({*fleet.integrations, *fleet.errors})
    if not everything:
        render.note(f"no integration is configured: add a file to {fleet.settings.integrations_folder}")
    return everything


def has_lake(fleet: Fleet, name: str) -> bool:
    """Whether anything is stored of an integration yet: its first sync makes it."""
    from cloudsync_pipeline import wiring

    return wiring.has_lake(fleet.settings, name)
