"""The whole in production's form: Dagster runs what the API is asked for, a real Prometheus scrapes it with a key."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from cloudsync_tests.api import prometheus
from cloudsync_tests.api.builders import READER, SYNCER, Process, a_fleet_with_held_deletes, a_process, eventually
from cloudsync_tests.cli.builders import forget_logging

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
WITHOUT_A_QUEUE = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
"""Dagster's own default is a queue, which needs a daemon."""
TOLD = {
    'sum(sync_operations_total{type="create", status="done"})': 32,
    'database_records_total{integration="fresh", table="files"}': 2,
    'sum(sync_runs_total{verdict="held"})': 1,
    "sum(sync_duration_seconds_count)": 3,
}


def promtool(*arguments: str, folder: Path = MONITORING) -> str:
    ran = subprocess.run(
        [prometheus.program("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def configured(folder: Path, address: str) -> Path:
    """The scrape configuration that is delivered, with only its places and times changed."""
    document = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [str(MONITORING / "alerts.yml")]
    [job] = document["scrape_configs"]
    job["authorization"]["credentials_file"] = str(folder / "key")
    job["static_configs"][0]["targets"] = [address]
    (folder / "key").write_text(READER)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """An API in a process of its own with a Dagster instance that starts runs at once; `fresh` was never synced."""
    place = a_fleet_with_held_deletes(tmp_path_factory.mktemp("monitored"))
    place.local("fresh", {"a.txt": "alpha", "b.txt": "beta"})
    home = place.folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{WITHOUT_A_QUEUE}")
    environment = {
        "DAGSTER_HOME": str(home),
        "CLOUDSYNC_CONFIG": str(place.config),
        # A busy machine may take minutes to load the code.
        "DAGSTER_GRPC_TIMEOUT_SECONDS": "250",
    }
    with a_process(place, environment=environment) as process:
        yield process
    forget_logging()


def test_the_rules_are_well_formed_and_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_rule_is_tested() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text(encoding="utf-8"))
    fired = {t["alertname"] for one in tests["tests"] for t in one["alert_rule_test"] if t.get("exp_alerts")}
    assert fired == {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def test_a_scrape_passes_promtools_own_check(api: Process) -> None:
    text = api.call("GET", "/metrics").text
    ran = subprocess.run(
        [prometheus.program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    # Its one complaint is about the name of a gauge that everybody knows by it.
    complaints = [line for line in (ran.stdout + ran.stderr).splitlines() if "database_records_total" not in line]
    assert complaints == []


def test_what_dagster_ran_for_the_api_is_what_prometheus_tells(api: Process, tmp_path: Path) -> None:
    answer = api.call("POST", "/sync/initial", key=SYNCER, json={"integration": "fresh"})
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    with prometheus.prometheus(tmp_path, configured(tmp_path, httpx.URL(api.url).netloc.decode())) as url:
        eventually(lambda: prometheus.query(url, "up == 1"))
        eventually(lambda: api.call("GET", f"/runs/{run_id}").json().get("verdict") == "in_sync")
        found = api.call("GET", f"/runs/{run_id}").json()
        assert (found["integration"], found["mode"]) == ("fresh", "initial")
        done = 'sync_operations_total{integration="fresh", type="create", status="done"}'
        eventually(lambda: prometheus.query(url, f"{done} == 2"))
        # A scrape that takes too long leaves a gap: each value is waited for.
        for expression, value in TOLD.items():
            eventually(partial(prometheus.query, url, f"{expression} == {value}"))
        eventually(lambda: prometheus.query(url, 'ALERTS{alertname="CloudsyncHeldDeletes", integration="held"}'))
        (tmp_path / "key").write_text("cloudsync_no_longer_known")
        eventually(lambda: prometheus.query(url, "up == 0"))
