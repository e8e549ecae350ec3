"""What Prometheus scrapes: the fleet as its control database knows it, and what this process answered.

Counters of syncs are kept in the control database, in the transaction that records a run's result: they are right
although syncs run in other processes, and outlive all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from cloudsync_pipeline.api.access import Reader
from cloudsync_pipeline.api.problems import documented
from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.control import Control, Heartbeat, Integration, IntegrationState, Measure, measures
from cloudsync_pipeline.control.overdue import overdue_since

router = APIRouter(tags=["operation"])
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTERS = {
    measures.OPERATIONS: ("sync_operations", "Operations that came to an end.", ("type", "status")),
    measures.RUNS: ("sync_runs", "Runs that ended.", ("type", "verdict")),
    measures.FILES: ("sync_files_processed", "Files whose content was brought over.", ()),
    measures.BYTES: ("sync_bytes", "Bytes of content that were sent, those that were refused or cut off included.", ()),
    measures.EVENTS: ("sync_events", "Change events that were new.", ()),
    measures.DRIFT: ("sync_drift", "Differences that full scans found and no event had announced.", ()),
}
"""Sums of the control database, and the counters they are shown as; each has the label `integration` besides."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value of each integration, from its line in the fleet."""

    name: str
    help: str
    value: Callable[[Integration, datetime], float]


_GAUGES = (
    Gauge("sync_lag_seconds", "Seconds since a sync last ended in sync; before the first, since it was added.",
          lambda one, now: max(0.0, (now - (one.last_success_at or one.added_at)).total_seconds())),
    Gauge("sync_owed_paths", "Paths whose file may differ from its object.", lambda one, _: one.owed),
    Gauge("sync_quarantined_paths", "Owed paths that failed too often, or that cannot be held.",
          lambda one, _: one.quarantined),
    Gauge("sync_held_deletes", "Deletes that the guard holds until somebody approves them.", lambda one, _: one.held),
    Gauge("sync_stored_bytes", "Bytes that the file manager holds.", lambda one, _: one.bytes),
)  # fmt: skip
_TABLES = ("objects", "files", "owed")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What one scrape tells, read at one moment."""

    fleet: Fleet
    known: Sequence[Integration]
    sums: Sequence[Measure]
    heartbeats: Sequence[Heartbeat]
    waiting: dict[str, tuple[int, float]]
    now: datetime


class FleetCollector(Collector):
    """Reads the control database at each scrape, and no lake."""

    def __init__(self, fleet: Callable[[], Fleet], control: Callable[[], Control]) -> None:
        self._fleet = fleet
        self._control = control

    def describe(self) -> Iterable[Metric]:
        # Registering asks for names: they must not take the database.
        return []

    def collect(self) -> Iterator[Metric]:
        control, now = self._control(), datetime.now(UTC)
        backlogs = control.inbox.backlogs()
        seen = _Snapshot(
            fleet=self._fleet(),
            known=control.list(),
            sums=control.measures(),
            heartbeats=control.heartbeats.all(),
            waiting={name: (one.count, (now - one.since).total_seconds()) for name, one in backlogs.items()},
            now=now,
        )
        yield from _of_runs(seen)
        yield from _of_integrations(seen)
        yield from _of_fleet(seen)


def _of_runs(seen: _Snapshot) -> Iterator[Metric]:
    names = [one.name for one in seen.known]
    by_name: dict[str, list[Measure]] = defaultdict(list)
    for one in seen.sums:
        by_name[one.name].append(one)
    for name, (metric, text, labels) in _COUNTERS.items():
        family = CounterMetricFamily(metric, text, labels=("integration", *labels))
        if not labels:
            # An increase is seen only where there was a value before: they begin at 0.
            there = {one.integration for one in by_name[name]}
            for integration in names:
                if integration not in there:
                    family.add_metric([integration], 0)
        for one in by_name[name]:
            family.add_metric([one.integration, *(one.kind, one.status)[: len(labels)]], one.value)
        yield family
    yield _durations(by_name[measures.DURATION], by_name[measures.DURATION_SUM])


def _durations(counts: Iterable[Measure], sums: Iterable[Measure]) -> Metric:
    family = HistogramMetricFamily("sync_duration_seconds", "How long runs took.", labels=("type",))
    by_mode: dict[str, dict[str, float]] = defaultdict(dict)
    for one in counts:
        by_mode[one.kind][one.status] = one.value
    seconds = {one.kind: one.value for one in sums}
    for mode, found in sorted(by_mode.items()):
        total, buckets = 0.0, []
        for bound in (*map(str, measures.DURATION_BOUNDS), "+Inf"):
            total += found.get(bound, 0)
            buckets.append((bound, total))
        family.add_metric([mode], buckets, sum_value=seconds.get(mode, 0))
    return family


def _of_integrations(seen: _Snapshot) -> Iterator[Metric]:
    shown = [one for one in seen.known if one.state is not IntegrationState.REMOVED]
    for gauge in _GAUGES:
        yield _family(gauge.name, gauge.help, ((one.name, gauge.value(one, seen.now)) for one in shown))
    yield _family(
        "sync_overdue_seconds",
        "Seconds since a sync should have been completed; 0 where all is well.",
        ((one.name, _overdue(seen, one)) for one in shown),
    )
    yield _family(
        "sync_events_waiting",
        "Notifications in the inbox that no sync has taken yet.",
        ((one.name, seen.waiting.get(one.name, (0, 0.0))[0]) for one in shown),
    )
    yield _family(
        "sync_events_waiting_seconds",
        "Seconds since the oldest of them came; 0 where none waits.",
        ((one.name, seen.waiting.get(one.name, (0, 0.0))[1]) for one in shown),
    )
    drift = {one.integration: one.value for one in seen.sums if one.name == measures.LAST_DRIFT}
    yield _family(
        "sync_drift_paths",
        "Differences that the newest full scan found and no event had announced.",
        ((one.name, drift.get(one.name, 0)) for one in shown),
    )
    yield _family(
        "sync_heartbeat_age_seconds",
        "Seconds since the run that holds the integration gave a sign of life; absent where none does.",
        ((one.integration, (seen.now - one.at).total_seconds()) for one in seen.heartbeats),
    )
    records = GaugeMetricFamily(
        "database_records_total", "Rows of an integration's tables.", labels=("integration", "table")
    )
    for one in shown:
        for table in _TABLES:
            records.add_metric([one.name, table], getattr(one, table))
    yield records


def _of_fleet(seen: _Snapshot) -> Iterator[Metric]:
    states = Counter(one.state.value for one in seen.known)
    family = GaugeMetricFamily("sync_integrations", "Integrations, by state.", labels=("state",))
    for state in IntegrationState:
        family.add_metric([state.value], states[state.value])
    yield family
    broken = GaugeMetricFamily("sync_configuration_errors", "Integrations whose configuration cannot be used.")
    broken.add_metric([], len(seen.fleet.errors))
    yield broken
    build = GaugeMetricFamily("cloudsync_build_info", "The release that answers; always 1.", labels=("version",))
    build.add_metric([version()], 1)
    yield build


def _overdue(seen: _Snapshot, one: Integration) -> float:
    config = seen.fleet.integrations.get(one.name)
    since = overdue_since(one, config.sync.interval, seen.now) if config else None
    return (seen.now - since).total_seconds() if since else 0


def _family(name: str, text: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=("integration",))
    for integration, value in values:
        family.add_metric([integration], value)
    return family


def version() -> str:
    """The release, as its package says."""
    try:
        return metadata.version("cloudsync-pipeline")
    except metadata.PackageNotFoundError:
        return "unreleased"  # run from a source tree that is not installed


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}, **documented()})
async def scrape(request: Request, _: Reader) -> Response:
    """The fleet's metrics, in Prometheus' text form."""
    registry: CollectorRegistry = request.app.state.registry
    text = await anyio.to_thread.run_sync(generate_latest, registry)
    return Response(text, media_type=CONTENT_TYPE)
