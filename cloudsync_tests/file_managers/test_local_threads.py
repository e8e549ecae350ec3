"""Blocking calls in threads: every caller gets its own answer, and slow calls run beside each other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cloudsync_pipeline.file_managers.local_threads import Threads


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def passing(self, seconds: float) -> int:
        """A call that takes so long; the thread that it ran in."""
        self.now += seconds
        return threading.get_ident()


def with_threads(
    count: int, use: Callable[[Threads], Awaitable[Any]], clock: Callable[[], float] = time.monotonic
) -> Any:
    async def within() -> Any:
        threads = Threads(count, "test", clock=clock)
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


def test_brief_calls_are_made_on_the_event_loop() -> None:
    async def use(threads: Threads) -> set[int]:
        return {await threads.brief(threading.get_ident) for _ in range(50)}

    assert with_threads(1, use, Clock()) == {threading.get_ident()}


def test_brief_calls_leave_the_event_loop_while_the_disk_is_slow_and_come_back() -> None:
    clock = Clock()

    async def use(threads: Threads) -> list[bool]:
        async def stayed(seconds: float) -> bool:
            return await threads.brief(lambda: clock.passing(seconds)) == threading.get_ident()

        found = [await stayed(0.0001), await stayed(0.1), await stayed(0.0001), await stayed(0.0001)]
        clock.passing(1.1)
        # One is tried: still slow. Later one is tried again, and the disk is well.
        found += [await stayed(0.1), await stayed(0.0001)]
        clock.passing(1.1)
        found += [await stayed(0.0001), await stayed(0.0001)]
        return found

    assert with_threads(1, use, clock) == [True, True, False, False, True, False, True, True]


def test_calls_that_are_all_somewhat_slow_leave_the_event_loop_and_a_single_one_does_not() -> None:
    clock = Clock()

    async def use(threads: Threads) -> int:
        for seconds in (0.0001, 0.05, 0.0001):
            assert await threads.brief(lambda seconds=seconds: clock.passing(seconds)) == threading.get_ident()  # type: ignore[misc]
        calls = 0
        while await threads.brief(lambda: clock.passing(0.006)) == threading.get_ident():
            calls += 1
        return calls

    assert 5 < with_threads(1, use, clock) < 50


def test_the_error_of_a_brief_call_is_the_callers() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        with_threads(1, lambda threads: threads.brief(fail))


def test_closed_threads_take_no_call() -> None:
    async def use(threads: Threads) -> None:
        threads.close()
        for call in (threads.brief, threads.run):
            with pytest.raises(RuntimeError, match="closed"):
                await call(lambda: None)

    with_threads(1, use)
