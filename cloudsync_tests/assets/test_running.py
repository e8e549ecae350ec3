"""A signal cancels the work where it awaits, lets it clean up, and then interrupts the step."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import dagster as dg
import pytest

from cloudsync_pipeline.assets.running import run


async def _answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_the_result_of_the_work_is_given_back() -> None:
    assert run(_answer()) == 42


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_after_it_cleaned_up(number: signal.Signals) -> None:
    done: list[str] = []

    async def work() -> None:
        async def waiting() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                done.append("committed")

        other = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
            done.append("released")

    before = signal.getsignal(number)
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        run(work())

    assert done == ["committed", "released"]
    assert signal.getsignal(number) is before


def test_work_that_ends_all_the_same_is_interrupted_nevertheless() -> None:
    async def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "done"

    with pytest.raises(dg.DagsterExecutionInterruptedError):
        run(work())


def test_an_error_of_the_work_comes_through() -> None:
    async def work() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        run(work())


def test_it_works_outside_the_main_thread_where_no_signal_arrives() -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(run(_answer())))
    thread.start()
    thread.join()
    assert results == [42]
