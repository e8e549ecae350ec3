"""Ctrl-C and SIGTERM: what runs is cancelled and cleans up; asked twice, it ends at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from cloudsync_pipeline.cli import render
from cloudsync_pipeline.cli.exit_codes import ExitCode

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Interrupted(KeyboardInterrupt):
    """A signal came; raised where `raising` is in force. A KeyboardInterrupt, so that libraries let it through."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.signal = number


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end.

    Raises:
        typer.Exit: a signal came: the coroutine was cancelled and has cleaned up; the code says which signal.
    """
    came: list[signal.Signals] = []

    async def guarded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def on_signal(number: signal.Signals) -> None:
            came.append(number)
            if task is not None:
                task.cancel()
            # The second one ends the process: what hangs is not waited for a second time.
            for one in _SIGNALS:
                loop.remove_signal_handler(one)
                signal.signal(one, signal.SIG_DFL)

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
        try:
            return await work
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    with _restored():
        try:
            return asyncio.run(guarded())
        except (asyncio.CancelledError, KeyboardInterrupt):
            if not came:
                raise
    render.note("stopped: what was confirmed is kept, the rest stays owed")
    raise typer.Exit(_CODES[came[0]])


@contextmanager
def raising() -> Iterator[None]:
    """Within it, a signal raises `Interrupted` in the main thread, once; leaving it gives typer.Exit with its code."""

    def on_signal(number: int, _: FrameType | None) -> None:
        # While it cleans up, a second Ctrl-C must not leave processes behind.
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number))

    with _restored():
        for number in _SIGNALS:
            signal.signal(number, on_signal)
        try:
            yield
        except Interrupted as interrupt:
            raise typer.Exit(_CODES[interrupt.signal]) from None


@contextmanager
def setting(stop: threading.Event) -> Iterator[None]:
    """Within it, the first signal sets `stop`, the second ends the process; leaving it then gives typer.Exit."""
    came: list[signal.Signals] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number))
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        stop.set()

    with _restored():
        for number in _SIGNALS:
            signal.signal(number, on_signal)
        yield
    if came:
        raise typer.Exit(_CODES[came[0]])


@contextmanager
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
