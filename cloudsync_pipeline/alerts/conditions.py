"""What can be wrong with an integration, judged by the fleet's control database alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.control import Integration, IntegrationState
from cloudsync_pipeline.control.control import RUNNING
from cloudsync_pipeline.control.overdue import overdue_since


class Condition(StrEnum):
    """Something that a person should know, the gravest first."""

    FAILED = "failed"
    """The last sync broke off."""
    UNUSABLE = "unusable"
    """Its configuration cannot be used, so nothing runs for it."""
    OVERDUE = "overdue"
    """No sync has been completed for several intervals."""
    HELD = "held"
    """The delete guard holds deletes until somebody decides."""
    PARTIAL = "partial"
    """Some operations of the last sync failed, or paths were quarantined."""


GRAVEST_FIRST = tuple(Condition)


def conditions(fleet: Fleet, one: Integration, now: datetime) -> Mapping[Condition, datetime] | None:
    """What is wrong, each since when.

    None while that cannot be said: a run is at it, and its end will tell. Of runs that do not end, `OVERDUE` alone is
    said; what else was wrong is so still.
    """
    if one.name in fleet.errors:
        # When its file broke nobody noted.
        return {Condition.UNUSABLE: now}
    if one.name not in fleet.integrations or one.state is not IntegrationState.ACTIVE:
        return {}
    late = overdue_since(one, fleet.integrations[one.name].sync.interval, now)
    if one.last_verdict == RUNNING:
        return None if late is None else {Condition.OVERDUE: late}
    found: dict[Condition, datetime] = {}
    ended = one.last_finished_at or now
    if one.last_verdict == "failed":
        found[Condition.FAILED] = ended
    if one.last_verdict == "partial":
        found[Condition.PARTIAL] = ended
    if one.held:
        found[Condition.HELD] = ended
    if late is not None:
        found[Condition.OVERDUE] = late
    return found
