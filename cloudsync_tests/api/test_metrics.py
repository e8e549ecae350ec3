"""What is scraped: the fleet's values, and that rules, dashboard and documentation name what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cloudsync_pipeline.control import Notice
from cloudsync_pipeline.lake import Lake
from cloudsync_tests.api.builders import READER, Served, serve
from cloudsync_tests.cli.builders import a_place, forget_logging

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
METRICS_DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
LATE = {"events_waiting": 300, "heartbeat_age": 120, "overdue": 86_400 - 900, "lag": 86_400}
"""Seconds, in the fleet that is `busy`."""
_OURS = r"\b(?:sync|api|database|cloudsync)_[a-z_]+[a-z]\b"


def scraped(served: Served) -> Samples:
    answer = served.call("GET", "/metrics", key=READER)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_counters_tell_what_other_processes_did(served: Served) -> None:
    found = scraped(served)
    assert value(found, "sync_operations_total", integration="held", type="create", status="done") == 30
    assert value(found, "sync_operations_total", integration="photos", type="create", status="quarantined") == 1
    assert value(found, "sync_runs_total", integration="held", type="initial", verdict="in_sync") == 1
    assert value(found, "sync_runs_total", integration="held", type="reconcile", verdict="held") == 1
    assert value(found, "sync_files_processed_total", integration="photos") == 8
    assert value(found, "sync_bytes_total", integration="photos") == 30
    assert value(found, "sync_duration_seconds_count", type="initial") == 2
    assert value(found, "sync_duration_seconds_bucket", type="initial", le="+Inf") == 2


def test_gauges_tell_how_integrations_stand(served: Served) -> None:
    found = scraped(served)
    assert value(found, "database_records_total", integration="held", table="files") == 30
    assert value(found, "database_records_total", integration="held", table="objects") == 5
    assert value(found, "sync_held_deletes", integration="held") == 25
    assert value(found, "sync_quarantined_paths", integration="photos") == 1
    assert value(found, "sync_owed_paths", integration="photos") == 1
    assert value(found, "sync_stored_bytes", integration="photos") == 29
    assert value(found, "sync_overdue_seconds", integration="photos") == 0
    assert value(found, "sync_configuration_errors") == 1
    assert value(found, "sync_integrations", state="active") == 2
    lag = value(found, "sync_lag_seconds", integration="held")
    assert lag is not None
    assert lag > 0


def test_requests_are_counted_by_route_and_status(served: Served) -> None:
    before = value(scraped(served), "api_requests_total", method="GET", route="/runs/{id}", status="404") or 0
    served.call("GET", "/runs/one")
    served.call("GET", "/runs/another")
    served.call("GET", "/some/path/that/there/is/not")
    found = scraped(served)
    assert value(found, "api_requests_total", method="GET", route="/runs/{id}", status="404") == before + 2
    assert value(found, "api_requests_total", method="GET", route="none", status="404")
    assert not any("path/that" in str(labels) for _, labels in found)


def test_a_scrape_opens_no_lake(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a lake was opened")

    monkeypatch.setattr(Lake, "open", forbidden)
    assert scraped(served)
    assert served.get("/integrations")["integrations"]
    assert served.get("/sync/status")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fleet in which every value that may be absent is there."""
    place = a_place(tmp_path_factory.mktemp("busy"))
    place.local("one", extra="feed: {type: inbox}\n")
    place.local("gone")
    with serve(place, local_only=True) as served:
        control, now = served.client.app.state.world.control(), datetime.now(UTC)  # type: ignore[attr-defined]
        control.ensure("one", now=now - timedelta(days=1))
        control.ensure("gone")
        control.remove("gone", "left")
        control.inbox.put("one", [Notice({"n": 1}), Notice({"n": 2})], now=now - timedelta(minutes=5))
        control.heartbeats.beat("one", run_id="r", holder="h", at=now - timedelta(minutes=2))
        yield served
    forget_logging()


def test_what_waits_what_runs_and_what_is_late(busy: Served) -> None:
    found = scraped(busy)
    assert value(found, "sync_events_waiting", integration="one") == 2
    seconds = {name: value(found, f"sync_{name}_seconds", integration="one") or 0.0 for name in LATE}
    # As long as was said, and what has passed since.
    assert {name: LATE[name] <= seconds[name] < LATE[name] + 600 for name in LATE} == dict.fromkeys(LATE, True)
    assert value(found, "sync_files_processed_total", integration="one") == 0


def test_a_removed_integration_has_no_gauges(busy: Served) -> None:
    found = scraped(busy)
    assert value(found, "sync_integrations", state="removed") == 1
    assert value(found, "sync_lag_seconds", integration="gone") is None


# --- rules, dashboard, documentation ------------------------------------------------------------


def families(served: Served) -> dict[str, tuple[str, set[str]]]:
    """Names as they are documented, with type and labels."""
    served.call("GET", "/live")
    found = {}
    for family in text_string_to_metric_families(served.call("GET", "/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for one in family.samples for label in one.labels} - {"le"}
        found[name] = (family.type, labels)
    return found


def documented() -> dict[str, tuple[str, set[str], str]]:
    """Type, labels, and what to alert on, by name."""
    rows = [
        line.split("|")[1:-1] for line in METRICS_DOCUMENT.read_text(encoding="utf-8").splitlines() if "| `" in line
    ]
    return {
        name.strip(" `"): (kind.strip(), {one.strip() for one in labels.split(",") if one.strip()}, alert.strip())
        for name, kind, labels, _, alert in rows
    }


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other(served: Served, busy: Served) -> None:
    there = families(served) | {name: one for name, one in families(busy).items() if "heartbeat" in name}
    assert {name: (kind, labels) for name, (kind, labels, _) in documented().items()} == there


def named_in_rules_and_dashboard() -> set[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((MONITORING / "grafana/dashboards/cloudsync.json").read_text(encoding="utf-8"))
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 30
    found = {name for text in expressions for name in re.findall(_OURS, text)}
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def test_rules_and_dashboard_name_metrics_that_there_are_and_leave_none_out(served: Served, busy: Served) -> None:
    assert named_in_rules_and_dashboard() == {*families(served), *families(busy)}


def test_what_the_documentation_says_to_alert_on_has_a_rule() -> None:
    rules = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    alerted = {name for name, (_, _, alert) in documented().items() if alert}
    assert len(alerted) > 8
    assert {name for name in alerted if name not in rules} == set()
