"""What Dagster loads: without network or configuration, by its own tools, and into the instance that we ship."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from cloudsync_pipeline.assets.checks import checks
from cloudsync_pipeline.definitions import ASSETS, defs
from cloudsync_pipeline.partitions import PARTITION_TAG, SCAN_TAG, integrations

ROOT = Path(__file__).parent.parent

LOAD = """
import socket, warnings

def refuse(*args, **kwargs):
    raise AssertionError("the network was asked for while definitions load")

socket.socket.connect = socket.getaddrinfo = refuse
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import dagster as dg
    from cloudsync_pipeline.definitions import defs
    project = defs()
    dg.Definitions.validate_loadable(project)
import sys
for heavy in (
    *("aiohttp", "boto3", "botocore", "duckdb", "fastapi", "numpy", "pandas", "prometheus_client", "pyarrow"),
    *("sqlalchemy", "typer", "uvicorn"),
):
    assert heavy not in sys.modules, f"{heavy} was imported while definitions load"
for one in told:
    if "dagster" in type(one.message).__module__ or "Warning" in str(one.message):
        print(one.category.__name__, one.message)
"""


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDSYNC_", "DAGSTER_"))}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_they_load_without_network_configuration_and_heavy_modules_and_use_nothing_superseded(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", LOAD, CLOUDSYNC_CONFIG=str(tmp_path / "is-not-there.yaml"))

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_dagsters_own_check_accepts_them(tmp_path: Path) -> None:
    done = run(str(Path(sys.executable).parent / "dg"), "check", "defs", DAGSTER_HOME=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All definitions loaded successfully" in done.stdout


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.key.to_user_string())
def test_every_asset_says_what_its_data_are_whose_they_are_and_how_fresh(asset: dg.AssetsDefinition) -> None:
    spec = asset.get_asset_spec()

    assert spec.partitions_def == integrations
    assert spec.group_name == "sync"
    assert len(spec.description or "") > 80
    assert spec.owners
    assert spec.kinds
    assert spec.freshness_policy is not None


def test_every_check_is_partitioned_described_and_blocks_nothing() -> None:
    specs = [spec for one in checks for spec in one.check_specs]

    assert len({spec.key for spec in specs}) == 8
    for spec in specs:
        assert spec.partitions_def == integrations
        assert spec.description
        assert not spec.blocking


def test_schedules_and_sensors_run_unless_they_are_turned_off() -> None:
    project = defs()

    assert all(one.default_status is dg.DefaultScheduleStatus.RUNNING for one in project.schedules or [])
    assert all(one.default_status is dg.DefaultSensorStatus.RUNNING for one in project.sensors or [])
    assert all(one.description for one in [*(project.schedules or []), *(project.sensors or [])])


def test_the_instance_that_we_ship_queues_one_run_an_integration_and_leaves_room_beside_scans(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        limits = {limit["key"]: limit for limit in queue.tag_concurrency_limits}
        assert limits[PARTITION_TAG] == {
            "key": PARTITION_TAG,
            "value": {"applyLimitPerUniqueValue": True},
            "limit": 1,
        }
        assert limits[SCAN_TAG]["limit"] < queue.max_concurrent_runs
        assert instance.run_monitoring_enabled
        assert instance.freshness_enabled
        assert not instance.run_retries_enabled
        assert not instance.telemetry_enabled
