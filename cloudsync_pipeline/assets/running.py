"""Runs a coroutine inside a step so that Dagster's Terminate ends it in order."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import dagster as dg

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end; on SIGINT or SIGTERM cancel it, wait until it has cleaned up, then interrupt the step.

    Dagster's own handler raises wherever the interpreter happens to be. In the midst of an event loop that
    is some callback or some other task, where the exception is logged and lost, or tears the loop down before the
    outcomes are committed. A cancellation arrives where the work awaits.

    Raises:
        DagsterExecutionInterruptedError: a signal ended it; the run counts as canceled.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        with _cancelling(loop, task) as interrupted:
            try:
                result = loop.run_until_complete(task)
            except asyncio.CancelledError:
                if not interrupted:
                    raise
        if interrupted:
            raise dg.DagsterExecutionInterruptedError
        return result


@contextmanager
def _cancelling(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> Iterator[list[int]]:
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals.
        yield received
        return

    def cancel(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
