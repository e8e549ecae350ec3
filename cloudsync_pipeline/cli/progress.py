"""How far transfers are: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudsync_pipeline.cli import render

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.results import Progress

LINE_SECONDS = 5.0
"""Between two lines of one integration."""

OnProgress = Callable[["Progress"], None]


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[OnProgress]:
    """A progress callback whose bars or lines go to standard error; with `quiet` it shows nothing."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bars() as callback:
            yield callback
    else:
        yield Lines(time.monotonic)


class Lines:
    """Prints a line of each integration every `LINE_SECONDS`, and at its end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.operations_total == 0:
            return
        now = self._clock()
        whole = progress.operations == progress.operations_total
        if whole or now - self._last.get(progress.integration, -LINE_SECONDS) >= LINE_SECONDS:
            self._last[progress.integration] = now
            render.note(in_words(progress))


def in_words(progress: Progress) -> str:
    """One line of progress."""
    parts = [
        f"{progress.integration}: {progress.operations:,} of {progress.operations_total:,} operations",
        f"{render.size(progress.bytes)} of {render.size(progress.bytes_total)}",
        f"{render.size(progress.rate)}/s",
    ]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.eta is not None:
        parts.append(f"{render.duration(progress.eta)} left")
    return ", ".join(parts)


@contextmanager
def _bars() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counted]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
        tasks: dict[str, TaskID] = {}

        def update(progress: Progress) -> None:
            # A plan without bytes (moves, deletes) still moves its bar.
            has_bytes = progress.bytes_total > 0
            total = progress.bytes_total if has_bytes else progress.operations_total
            done = progress.bytes if has_bytes else progress.operations
            counted = f"{progress.operations:,}/{progress.operations_total:,}"
            if progress.failed:
                counted += f", {progress.failed:,} failed"
            task = tasks.get(progress.integration)
            if task is None:
                task = tasks[progress.integration] = bars.add_task(progress.integration, total=total, counted=counted)
            bars.update(task, total=total, completed=done, counted=counted)

        yield update
