"""What is news to a channel: conditions that it has not told of, and those that it told of and are over."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudsync_pipeline.alerts.conditions import GRAVEST_FIRST, Condition
from cloudsync_pipeline.control import Told

State = Mapping[str, Mapping[Condition, datetime] | None]
"""By integration, as `conditions` gives it."""


@dataclass(frozen=True, slots=True)
class Change:
    """News of one integration.

    Attributes:
        begun: conditions that are new, the gravest first, with their beginning.
        over: conditions that are gone, with their beginning.
        still: conditions that were told of and last.
    """

    integration: str
    begun: Mapping[Condition, datetime]
    over: Mapping[Condition, datetime]
    still: tuple[Condition, ...]

    @property
    def recovered(self) -> bool:
        """Nothing is wrong any more."""
        return not self.begun and not self.still


def changes(state: State, told: Iterable[Told], on: Sequence[str], under_way: Container[str] = ()) -> list[Change]:
    """The news, by integration.

    Args:
        state: how it is now.
        told: what one channel told of.
        on: conditions that are wanted; others are neither told of, nor that they are over.
        under_way: integrations of which a run has begun and not ended: what was told of them is not over yet.
    """
    before: dict[str, dict[Condition, datetime]] = {}
    for one in told:
        if one.condition in set(Condition):
            before.setdefault(one.integration, {})[Condition(one.condition)] = one.since
    found = []
    for name in sorted(state.keys() | before.keys()):
        now = state.get(name, {})
        if now is None:
            continue
        wanted = {one: now[one] for one in GRAVEST_FIRST if one in now and one in on}
        known = before.get(name, {})
        if name in under_way:
            wanted = {one: {**known, **wanted}[one] for one in GRAVEST_FIRST if one in known or one in wanted}
        change = Change(
            name,
            begun={one: since for one, since in wanted.items() if one not in known},
            over={one: since for one, since in known.items() if one not in wanted},
            still=tuple(one for one in wanted if one in known),
        )
        if change.begun or change.over:
            found.append(change)
    return found
