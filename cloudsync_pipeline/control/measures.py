"""What an integration's runs add up to, kept with each result: one count for all processes, which outlives them.

A run that is recorded again adds only what it did more than was told before, so that a counter never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.control.database import upsert
from cloudsync_pipeline.control.records import RunResult
from cloudsync_pipeline.control.tables import measures

RUNS = "runs"
"""Runs that ended; `kind` is their mode, `status` their verdict."""
DURATION = "duration"
"""Runs by how long they took; `kind` is their mode, `status` the least bound of `DURATION_BOUNDS` that holds them."""
DURATION_SUM = "duration_sum"
"""Seconds that runs took, by mode."""
OPERATIONS = "operations"
"""Operations that came to an end; `kind` is theirs, `status` "done", "failed", "skipped" or "quarantined"."""
FILES = "files"
"""Files whose content was brought over."""
BYTES = "bytes"
"""Bytes of content that were brought over."""
EVENTS = "events"
"""Change events that were new."""
DRIFT = "drift"
"""Differences that a full scan found and no event had announced, all scans together."""
LAST_DRIFT = "last_drift"
"""What the newest full scan found of them: replaced, not added to."""

DURATION_BOUNDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Seconds; above them, "+Inf"."""

_ONCE = frozenset({RUNS, DURATION})
_OUTCOMES = ("done", "failed", "skipped", "quarantined")

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """One sum of an integration; `kind` and `status` are empty where it has none."""

    integration: str
    name: str
    kind: str
    status: str
    value: float


def contributions(result: RunResult) -> dict[Key, float]:
    """What one run adds, by name, kind and status. A result that says nothing of a measure adds nothing to it."""
    seconds = max(0.0, (result.finished_at - result.started_at).total_seconds())
    found: dict[Key, float] = {
        (RUNS, result.mode, result.verdict): 1,
        (DURATION, result.mode, _bound(seconds)): 1,
        (DURATION_SUM, result.mode, ""): seconds,
    }
    execution, statistics = _section(result.results, "execution"), _section(result.results, "statistics")
    for status in _OUTCOMES:
        for kind, count in _section(execution, status).items():
            found[OPERATIONS, str(kind), status] = _number(count)
    for name, told in ((FILES, "files_processed"), (BYTES, "total_size"), (EVENTS, "events_processed")):
        found[name, "", ""] = _number(statistics.get(told))
    found[DRIFT, "", ""] = _number(result.results.get("drift"))
    return found


def add(connection: sa.Connection, result: RunResult, before: RunResult | None) -> None:
    """Add a run's part; `before` is what was recorded of the same run already."""
    known = {} if before is None else contributions(before)
    for key, value in contributions(result).items():
        if before is not None and key[0] in _ONCE:
            continue
        more = value - known.get(key, 0)
        if more > 0:
            _store(connection, result.integration, key, more, adding=True)
    drift = result.results.get("drift")
    if drift is not None:
        _store(connection, result.integration, (LAST_DRIFT, "", ""), _number(drift), adding=False)


def read(connection: sa.Connection) -> Sequence[Measure]:
    """All sums. Durations come as those of the fleet, with no integration: by integration they would be too many."""
    t = measures.c
    of_fleet = t.name.in_([DURATION, DURATION_SUM])
    each = sa.select(t.integration, t.name, t.kind, t.status, t.value).where(~of_fleet)
    together = sa.select(t.name, t.kind, t.status, sa.func.sum(t.value)).where(of_fleet)
    rows = [Measure(*row) for row in connection.execute(each)]
    grouped = connection.execute(together.group_by(t.name, t.kind, t.status))
    return [*rows, *(Measure("", *row) for row in grouped)]


def _store(connection: sa.Connection, integration: str, key: Key, value: float, *, adding: bool) -> None:
    name, kind, status = key
    new = upsert(connection, measures).values(integration=integration, name=name, kind=kind, status=status, value=value)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["integration", "name", "kind", "status"],
            set_={"value": measures.c.value + new.excluded.value if adding else new.excluded.value},
        )
    )


def _bound(seconds: float) -> str:
    return next((str(bound) for bound in DURATION_BOUNDS if seconds <= bound), "+Inf")


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(value: object) -> float:
    """A count as it was told; 0 for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, value)
