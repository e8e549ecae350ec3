"""Runs in Dagster write to the configured log file as well."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline import logs
from cloudsync_pipeline.config.settings import LoggingSettings
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    """One integration, and a log file; logging as it was before at the end."""
    level = logging.getLogger("cloudsync_pipeline").level
    with a_fleet(tmp_path, "acme") as fleet:
        with (tmp_path / "cloudsync.yaml").open("a", encoding="utf-8") as main:
            main.write("logging: {file: sync.log}\n")
        yield fleet
    logs.configure_file(LoggingSettings())
    logging.getLogger("cloudsync_pipeline").setLevel(level)


def lines(fleet: FleetOfTests) -> list[str]:
    return (fleet.folder / "sync.log").read_text(encoding="utf-8").splitlines()


def test_what_a_run_says_is_written_once_with_its_run_id_and_integration(fleet: FleetOfTests) -> None:
    fleet.storage("acme").put("a.txt", b"content")
    runs = [fleet.run("initial_sync", "acme"), fleet.run("reconcile", "acme"), fleet.run("maintenance", "acme")]

    assert all(run.success for run in runs)
    for run in runs[:2]:
        [verdict] = [line for line in lines(fleet) if "Verdict" in line and run.run_id in line]
        assert f"INFO dagster [acme {run.run_id}] Verdict: in_sync" in verdict
    assert all("[acme " in line for line in lines(fleet))
    assert len(lines(fleet)) == len(set(lines(fleet)))


def test_why_a_run_failed_is_written(fleet: FleetOfTests) -> None:
    fleet.write("acme", "storage: {type: nonsense}")
    run = fleet.run("initial_sync", "acme")

    assert not run.success
    assert any(f"ERROR assets.logfile [acme {run.run_id}]" in line and "nonsense" in line for line in lines(fleet))
