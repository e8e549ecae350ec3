"""Blocking calls in threads: every caller gets its own answer, and slow calls run beside each other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cloudsync_pipeline.file_managers.local_threads import Threads


def with_threads(count: int, use: Callable[[Threads], Awaitable[Any]]) -> Any:
    async def within() -> Any:
        threads = Threads(count, "test")
        try:
            return await use(threads)
        finally:
            threads.close()

    return asyncio.run(within())


def test_each_caller_gets_its_own_result() -> None:
    async def use(threads: Threads) -> list[int]:
        return await asyncio.gather(*(threads.run(lambda number=number: number * 2) for number in range(2000)))  # type: ignore[misc]

    assert with_threads(3, use) == [number * 2 for number in range(2000)]


def test_each_caller_gets_its_own_error() -> None:
    def fail(number: int) -> int:
        if number % 3 == 0:
            raise ValueError(number)
        return number

    async def use(threads: Threads) -> list[Any]:
        calls = (threads.run(lambda number=number: fail(number)) for number in range(300))  # type: ignore[misc]
        return await asyncio.gather(*calls, return_exceptions=True)

    for number, result in enumerate(with_threads(3, use)):
        assert result.args == (number,) if number % 3 == 0 else result == number


def test_calls_never_run_on_the_event_loop() -> None:
    assert with_threads(1, lambda threads: threads.run(threading.get_ident)) != threading.get_ident()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_slow_calls_run_beside_each_other_up_to_the_limit(count: int) -> None:
    # Nobody passes until so many are inside, and nobody can be inside beyond that.
    inside = threading.Barrier(count, timeout=30)
    running = most = 0
    lock = threading.Lock()

    def slow() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        inside.wait()
        with lock:
            running -= 1

    async def use(threads: Threads) -> None:
        await asyncio.gather(*(threads.run(slow) for _ in range(12)))

    with_threads(count, use)
    assert most == count


def test_a_slow_call_does_not_hold_back_the_answers_before_it() -> None:
    go_on = threading.Event()

    async def use(threads: Threads) -> bool:
        quick = asyncio.create_task(threads.run(lambda: time.sleep(0.01)))
        slow = asyncio.create_task(threads.run(lambda: go_on.wait(10)))
        await quick
        before = slow.done()
        go_on.set()
        await slow
        return before

    assert with_threads(1, use) is False


def test_a_call_that_hangs_does_not_hold_back_the_others() -> None:
    go_on = threading.Event()

    async def use(threads: Threads) -> None:
        hanging = asyncio.create_task(threads.run(lambda: go_on.wait(10)))
        await asyncio.gather(*(threads.run(lambda: None) for _ in range(20)))
        assert not hanging.done()
        go_on.set()
        await hanging

    with_threads(2, use)


def test_a_cancelled_caller_waits_for_its_call() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(10)
        ended.set()

    async def use(threads: Threads) -> None:
        task = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    with_threads(1, use)
