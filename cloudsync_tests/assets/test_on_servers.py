"""A fleet whose state is on servers: Dagster runs of it, and what the command line shows, from two machines."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from _pytest.logging import LogCaptureFixture

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.cli.builders import Place, forget_logging
from cloudsync_tests.control import postgres
from cloudsync_tests.dagster_fleet import a_fleet, evaluations, metadata
from cloudsync_tests.e2e.builders import on_servers
from cloudsync_tests.lake.places import Servers


def test_runs_approvals_maintenance_and_commands_work_on_lakes_of_servers(
    tmp_path: Path,
    postgres_server: sa.URL,
    lake_servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: LogCaptureFixture,
) -> None:
    for variable in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    name = f"acme-{uuid.uuid4().hex[:8]}"
    database = on_servers(postgres.emptied(postgres_server), lake_servers, "assets")
    here, there = tmp_path / "here", Place(tmp_path / "there")
    here.mkdir()
    with a_fleet(here, name) as fleet:
        (here / "cloudsync.yaml").write_text(database)
        for number in range(24):
            fleet.storage(name).put(f"f{number:02}", b"content %d" % number)
        first = fleet.run("initial_sync", name)
        assert first.success
        assert all(one.passed for one in evaluations(first).values())
        assert metadata(first, "sync_report")["verdict"] == "in_sync"
        assert len(fleet.files(name)) == 24
        # Another machine: the same configuration, a state folder of its own.
        there.folder.mkdir()
        (there.folder / "integrations").mkdir()
        there.config.write_text(database)
        there.integration(name, (here / "integrations" / f"{name}.yaml").read_text())

        for number in range(20):
            fleet.storage(name).delete(f"f{number:02}")
        guarded = fleet.run("reconcile", name)
        assert metadata(guarded, "state_diff")["held"] == 20
        assert there.run("plan", "approve", "-i", name, "-y").code == 0
        assert there.run("reconcile", "-i", name).code == 0
        assert set(fleet.files(name)) == {f"f{number}" for number in range(20, 24)}
        assert there.run("maintenance", "-i", name).code == 0

        status = there.run("status", "-i", name, "--json").json()["integrations"][0]
        assert (status["lake"]["files"], status["lake"]["owed"], status["holder"]) == (4, 0, None)
        with wiring.open_lake(load_fleet(there.config).settings, name, run_id="r1", purpose="looking around"):
            held = there.run("status", "-i", name, "--json").json()["integrations"][0]["holder"]
            assert (held["run_id"], held["purpose"], held["alive"]) == ("r1", "looking around", True)
            assert "looking around, run r1" in there.run("status").out.replace("\n", " ")
            refused = there.run("retry", "-i", name)
            assert "Run r1 (looking around;" in refused.err
        listed = there.run("files", "-i", name, "--json").json()["rows"]
        assert [row["path"] for row in listed] == [f"f{number}" for number in range(20, 24)]
        exported = there.run("export-state", "-i", name, "--table", "files", "--output", str(tmp_path / "files.csv"))
        assert exported.code == 0, exported.err
        assert (tmp_path / "files.csv").read_text().count("\n") == 5
    forget_logging()
    assert lake_servers.storage.secret_key not in caplog.text
    lake_servers.forget(f"lake_{name}")
