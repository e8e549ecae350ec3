"""What a server's clock says, as far as its `Date` headers tell.

`Date` has whole seconds and is written when the answer is ready, so it says too little of when a request was made. Two
answers to one question must still be put in order: what is asked later must never look older.
"""

from __future__ import annotations

from datetime import datetime, timedelta

_SECOND = timedelta(seconds=1)
_NONE = timedelta(0)


class ServerClock:
    """Bounds of how far a server's clock is from ours, narrowed by each answer.

    While ours agrees with it (within the second that `Date` leaves open) ours is used as it is, so that moments keep
    their microseconds and every process of this machine agrees. Otherwise the lower bound is added, so that a moment
    never comes out later than the server itself would have said.
    """

    def __init__(self) -> None:
        self._low: timedelta | None = None
        self._high: timedelta | None = None

    def learn(self, *, sent: datetime, received: datetime, date: datetime | None) -> None:
        """Take an answer's `Date` into account.

        Args:
            sent, received: when, by our clock, the request went out and the answer's headers came in.
            date: its `Date`, None where it had none.
        """
        if date is None:
            return
        low, high = date - received, date + _SECOND - sent
        if self._low is None or self._high is None:
            self._low, self._high = low, high
            return
        self._low, self._high = max(self._low, low), min(self._high, high)
        if self._low > self._high:
            # One of the clocks was set since; what was learnt before is void.
            self._low, self._high = low, high

    @property
    def offset(self) -> timedelta:
        """What is added to our clock."""
        if self._low is None or self._high is None or self._low <= _NONE <= self._high:
            return _NONE
        return self._low

    def at(self, moment: datetime) -> datetime:
        """A moment of our clock as the server's."""
        return moment + self.offset
