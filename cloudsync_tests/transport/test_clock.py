"""A server's clock, guessed from `Date` headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.transport.clock import ServerClock

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def answer(clock: ServerClock, *, sent: datetime, took: float, offset: float) -> None:
    """An answer of a server whose clock is `offset` seconds ahead, generated halfway."""
    generated = sent + seconds(took / 2 + offset)
    clock.learn(sent=sent, received=sent + seconds(took), date=generated.replace(microsecond=0))


def test_ours_is_used_before_anything_is_known() -> None:
    assert ServerClock().at(NOON) == NOON


def test_ours_is_used_while_both_agree() -> None:
    clock = ServerClock()
    for step in range(20):
        answer(clock, sent=NOON + seconds(0.37 * step), took=0.05, offset=0.0)

    assert clock.at(NOON) == NOON


def test_an_answer_without_date_teaches_nothing() -> None:
    clock = ServerClock()
    clock.learn(sent=NOON, received=NOON, date=None)

    assert clock.offset == timedelta(0)


def test_a_clock_that_was_set_is_learnt_anew() -> None:
    clock = ServerClock()
    answer(clock, sent=NOON, took=0.1, offset=0.0)
    answer(clock, sent=NOON + seconds(1), took=0.1, offset=3600.0)

    assert abs(clock.offset - seconds(3600)) <= seconds(1.1)


@given(
    offset=st.floats(-7200, 7200),
    asked=st.lists(st.tuples(st.floats(0, 10), st.floats(0.001, 2)), min_size=1, max_size=20),
)
def test_a_wrong_clock_is_corrected_and_never_too_late(offset: float, asked: list[tuple[float, float]]) -> None:
    clock, sent = ServerClock(), NOON
    for wait, took in asked:
        sent += seconds(wait)
        answer(clock, sent=sent, took=took, offset=offset)
        guess = clock.at(sent) - sent
        if guess:
            assert guess <= seconds(offset) + timedelta(microseconds=5)
            assert seconds(offset) - guess <= seconds(1 + took)
        else:
            assert abs(offset) <= 1 + took
