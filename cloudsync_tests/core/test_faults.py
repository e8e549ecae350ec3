"""Faults happen where, when and as often as they were asked for."""

from __future__ import annotations

import asyncio

import pytest

from cloudsync_pipeline.core.errors import Throttled, Unreachable
from cloudsync_pipeline.core.faults import ALWAYS, Corrupt, Faults, LoseAnswer, Truncate


def hit(faults: Faults, operation: str = "read", key: str | None = "k") -> object:
    return asyncio.run(faults.hit(operation, key))


def outcomes(faults: Faults, times: int) -> list[bool]:
    """For each of so many calls, whether it failed."""
    failed = []
    for _ in range(times):
        try:
            hit(faults)
            failed.append(False)
        except Unreachable:
            failed.append(True)
    return failed


def test_nothing_happens_by_default() -> None:
    assert hit(Faults()) is None


def test_an_error_is_raised_once() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"))

    assert outcomes(faults, 3) == [True, False, False]


def test_an_error_is_raised_as_often_as_asked() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"), times=2)

    assert outcomes(faults, 3) == [True, True, False]


def test_an_error_is_raised_always() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"), times=ALWAYS)

    assert outcomes(faults, 3) == [True, True, True]


def test_calls_may_pass_first() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"), after=2)

    assert outcomes(faults, 4) == [False, False, True, False]


def test_other_operations_and_keys_are_not_concerned() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"), key="k", after=1)

    assert hit(faults, "head") is None
    assert hit(faults, "read", "other") is None
    assert outcomes(faults, 2) == [False, True]


def test_faults_follow_each_other_in_order() -> None:
    faults = Faults()
    faults.add("read", Unreachable("first"))
    faults.add("read", Throttled("second", retry_after=3.0))

    with pytest.raises(Unreachable, match="first"):
        hit(faults)
    with pytest.raises(Throttled, match="second") as caught:
        hit(faults)
    assert caught.value.retry_after == 3.0


def test_each_raise_is_an_error_of_its_own() -> None:
    faults = Faults()
    given = Unreachable("down", key="k")
    faults.add("read", given, times=2)

    caught = []
    for _ in range(2):
        with pytest.raises(Unreachable) as each:
            hit(faults)
        caught.append(each.value)

    assert len({id(error) for error in (given, *caught)}) == 3
    assert [str(error) for error in caught] == [str(given)] * 2


@pytest.mark.parametrize("effect", [Truncate(3), Corrupt(1), LoseAnswer(Unreachable("lost"))])
def test_effects_for_the_adapter_are_handed_to_it(effect: Truncate | Corrupt | LoseAnswer) -> None:
    faults = Faults()
    faults.add("read", effect)

    assert hit(faults) is effect
    assert hit(faults) is None


def test_a_callable_is_called() -> None:
    faults, called = Faults(), []
    faults.add("read", lambda: called.append("now"))

    assert hit(faults) is None
    assert called == ["now"]


def test_a_stall_lasts_until_it_is_lifted() -> None:
    async def main() -> list[str]:
        faults, lifted, seen = Faults(), asyncio.Event(), []
        faults.add("read", lifted.wait)

        async def call() -> None:
            await faults.hit("read", "k")
            seen.append("through")

        task = asyncio.create_task(call())
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append("lifted")
        lifted.set()
        await task
        return seen

    assert asyncio.run(main()) == ["lifted", "through"]


def test_calls_are_counted_and_what_is_left_is_known() -> None:
    faults = Faults()
    faults.add("read", Unreachable("down"), times=2)
    faults.add("head", Unreachable("down"), times=ALWAYS)

    assert faults.pending == 1
    assert outcomes(faults, 3) == [True, True, False]
    assert faults.pending == 0
    assert faults.calls == {"read": 3}

    faults.clear()
    assert hit(faults, "head") is None
