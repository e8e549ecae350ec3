"""Doing many things at once, but not too many."""

from __future__ import annotations

import asyncio

import pytest

from cloudsync_pipeline.engine.concurrency import ByteBudget, carried_through, map_bounded


def test_results_come_in_the_order_of_the_items_and_never_too_many_at_once() -> None:
    running = most = 0

    async def call(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number * 2

    assert asyncio.run(map_bounded(range(20), call, limit=3)) == [n * 2 for n in range(20)]
    assert most == 3


def test_the_first_error_is_raised_as_it_is_and_cancels_the_rest() -> None:
    cancelled = []

    async def call(number: int) -> None:
        if number == 1:
            raise KeyError(number)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(KeyError):
        asyncio.run(map_bounded([0, 1, 2], call, limit=3))
    assert cancelled == [0, 2]


def test_a_budget_is_never_exceeded_and_a_giant_takes_all_of_it() -> None:
    lent = most = 0

    async def borrow(budget: ByteBudget, amount: int) -> None:
        nonlocal lent, most
        async with budget.borrow(amount):
            lent += min(amount, 10)
            most = max(most, lent)
            await asyncio.sleep(0)
            lent -= min(amount, 10)

    async def many() -> None:
        budget = ByteBudget(10)
        await asyncio.gather(*(borrow(budget, amount) for amount in (4, 4, 4, 100, 1, 9, 0, 10)))

    asyncio.run(many())
    assert 8 <= most <= 10


def test_who_is_cancelled_while_waiting_takes_nothing_away_and_lets_the_next_pass() -> None:
    async def story() -> None:
        budget = ByteBudget(10)
        passed = asyncio.Event()

        async def take(amount: int) -> None:
            async with budget.borrow(amount):
                passed.set()

        async with budget.borrow(10):
            first, second = asyncio.create_task(take(10)), asyncio.create_task(take(3))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        await second
        assert passed.is_set()
        async with budget.borrow(10):
            pass

    asyncio.run(asyncio.wait_for(story(), 10))


def test_work_that_is_carried_through_ends_whatever_cancellations_come() -> None:
    ended = []

    async def work(go_on: asyncio.Event) -> None:
        await go_on.wait()
        ended.append(True)

    async def story() -> None:
        go_on = asyncio.Event()
        task = asyncio.create_task(carried_through(work(go_on)))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(story(), 10))
    assert ended == [True]
