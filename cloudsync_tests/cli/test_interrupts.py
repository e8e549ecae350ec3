"""Signals end what runs, in order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import typer

from cloudsync_pipeline.cli import interrupts


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_work_and_lets_it_clean_up(number: int, code: int) -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    with pytest.raises(typer.Exit) as exited:
        interrupts.run(work())
    assert exited.value.exit_code == code
    assert seen == ["cleaned up"]


def test_work_that_ends_by_itself_gives_its_answer() -> None:
    async def work() -> int:
        return 7

    assert interrupts.run(work()) == 7


def test_handlers_are_as_before_afterwards() -> None:
    async def work() -> None:
        return None

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    interrupts.run(work())
    with interrupts.raising():
        pass
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_cancellation_of_its_own_is_no_signal() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        interrupts.run(work())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_where_nothing_is_asynchronous_a_signal_raises_once(number: int, code: int) -> None:
    cleaned: list[str] = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            # A second one, while cleaning up, changes nothing.
            os.kill(os.getpid(), number)
            cleaned.append("yes")

    with pytest.raises(typer.Exit) as exited, interrupts.raising():
        work()
    assert exited.value.exit_code == code
    assert cleaned == ["yes"]
