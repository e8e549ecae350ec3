"""What orders the events of a key, and what makes two deliveries one event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.events import identity_of, is_older

sequencers = st.text("0123456789ABCDEF", min_size=1, max_size=24)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6"),
        ("09", "1"),
        ("0055AED6DC", "0055AED6DCD90281E5"),
        ("9F", "A"),
    ],
)
def test_the_shorter_sequencer_is_padded_on_its_right(older: str, newer: str) -> None:
    assert is_older(older, than=newer)
    assert not is_older(newer, than=older)


@given(sequencers, st.integers(0, 8))
def test_zeros_at_its_end_do_not_make_an_event_newer(sequencer: str, zeros: int) -> None:
    padded = sequencer + "0" * zeros
    assert not is_older(sequencer, than=padded)
    assert not is_older(padded, than=sequencer)


@given(sequencers, sequencers)
def test_of_two_events_at_most_one_is_older(one: str, two: str) -> None:
    assert is_older(one, than=two) + is_older(two, than=one) == (one.rstrip("0") != two.rstrip("0"))


@given(sequencers, sequencers, sequencers)
def test_what_is_older_than_the_older_one_is_older(one: str, two: str, three: str) -> None:
    if is_older(one, than=two) and is_older(two, than=three):
        assert is_older(one, than=three)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_sequencers_of_one_length_are_ordered_like_numbers(one: int, two: int) -> None:
    assert is_older(f"{one:016X}", than=f"{two:016X}") == (one < two)


def test_an_identity_does_not_depend_on_the_order_of_fields() -> None:
    assert identity_of({"a": 1, "b": 2}) == identity_of({"b": 2, "a": 1}) != identity_of({"a": 1, "b": 3})
