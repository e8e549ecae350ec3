"""Doing many things at once, but not too many."""

from __future__ import annotations

import asyncio

import pytest

from cloudsync_pipeline.engine.concurrency import ByteBudget, map_bounded


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
