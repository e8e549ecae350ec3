"""Any story of changes, lost and doubled events, faults and kills ends with both ends equal, and breaks no promise.

The stories are the same in every run of the tests; `make soak` looks for new ones. A failure prints its story.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cloudsync_tests.reliability import budget
from cloudsync_tests.reliability.life import Life, live, shortest, without_waiting

CHAPTERS = 12
FIXED_LIVES = 6
FIXED_REAL_LIVES = 2
FIXED_EXAMPLES = 5

# What happens in a chapter is drawn from one number: hypothesis chooses, shortens and repeats the stories, and is kept
# from making each chapter as dull as possible.
NUMBERS = st.integers(0, 2**32 - 1)


class Story(RuleBasedStateMachine):
    """Lives that hypothesis puts together, and shortens when one goes wrong."""

    tally: ClassVar = Counter[str]()

    @initialize(number=NUMBERS)
    def begin(self, number: int) -> None:
        self.life = Life(number)
        self.seen = Counter[int]()

    @rule(number=NUMBERS)
    def a_chapter(self, number: int) -> None:
        # Numbers come again within a story: no chapter does.
        self.seen[number] += 1
        self.life.chapter((number, self.seen[number]))

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        try:
            self.life.end()
        finally:
            note("\n".join(self.life.told))
            self.life.close(self.tally)


def lives_end_well(fixed: int, tally: Counter[str], *, first: int = 0, real_lake: bool = False) -> None:
    with without_waiting():
        for seed in budget.seeds(fixed):
            if live(first + seed, range(CHAPTERS), tally, real_lake=real_lake)[1] is not None:
                told, broken = shortest(first + seed, range(CHAPTERS), real_lake=real_lake)
                raise AssertionError(f"life {first + seed}: {broken!r}\n" + "\n".join(told)) from broken


@pytest.mark.soak
@pytest.mark.parametrize("first", [0, 1000])
def test_every_life_ends_well(first: int, tally: Counter[str]) -> None:
    lives_end_well(FIXED_LIVES, tally, first=first)


@pytest.mark.soak
def test_every_life_ends_well_on_a_real_lake(tally: Counter[str]) -> None:
    lives_end_well(FIXED_REAL_LIVES, tally, first=2000, real_lake=True)


@pytest.mark.soak
def test_every_story_ends_well(tally: Counter[str]) -> None:
    Story.tally = tally
    with without_waiting():
        # A soak tells many small batches of stories, each from another start, until its time is up.
        for _ in budget.seeds(1):
            run_state_machine_as_test(
                Story,
                settings=settings(
                    max_examples=FIXED_EXAMPLES,
                    stateful_step_count=CHAPTERS,
                    derandomize=budget.seconds() is None,
                    deadline=None,
                    database=None,
                    print_blob=True,
                    suppress_health_check=list(HealthCheck),
                ),
            )
