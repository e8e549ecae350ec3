"""Commands put runs into the queue of a configured instance, follow them, and say what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from cloudsync_pipeline import launch
from cloudsync_pipeline.assets.failures import failure_of
from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, StateError
from cloudsync_pipeline.launch.workspace import open_workspace

ROOT = Path(__file__).parent.parent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configured instance, and nothing else of the environment."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv(launch.WORKSPACE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        assert str(home) in str(instance.root_directory)
        yield instance


def beat(instance: dg.DagsterInstance, daemon: str) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), daemon, "of-a-test"))


def test_an_instance_is_configured_where_dagster_home_holds_a_dagster_yaml(tmp_path: Path) -> None:
    assert not launch.instance_configured({})
    assert not launch.instance_configured({"DAGSTER_HOME": ""})
    assert not launch.instance_configured({"DAGSTER_HOME": str(tmp_path)})
    (tmp_path / "dagster.yaml").touch()
    assert launch.instance_configured({"DAGSTER_HOME": str(tmp_path)})


def test_importing_it_does_not_import_dagster() -> None:
    code = "import sys, cloudsync_pipeline.launch; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_without_an_instance_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    with pytest.raises(ConfigError, match="--direct"):
        launch.active_runs()


def test_runs_are_queued_found_and_ended(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launch.WORKSPACE, str(ROOT / "workspace.yaml"))

    with launch.launcher() as start:
        options = {"resources": {"options": {"config": {"dry_run": True}}}}
        first = start("initial_sync", "acme", options, {"asked-by": "a test"})
        second = start("maintenance", "beta", {}, {})
        with pytest.raises(ConfigError, match="no job 'nonsense'"):
            start("nonsense", "acme", {}, {})

    assert instance.get_dynamic_partitions("integrations") == ["acme", "beta"]
    run = instance.get_run_by_id(first)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert run.run_config == options
    assert (
        run.tags.items()
        >= {
            "asked-by": "a test",
            "cloudsync/kind": "initial",
            "cloudsync/scan": "full",
            "dagster/partition": "acme",
            "dagster/priority": "-10",
        }.items()
    )
    assert [(one.run_id, one.integration, one.kind, one.status) for one in launch.active_runs()] == [
        (second, "beta", "maintenance", "QUEUED"),
        (first, "acme", "initial", "QUEUED"),
    ]
    assert [one.run_id for one in launch.active_runs("acme")] == [first]

    with pytest.raises(StateError, match="No Dagster daemon"):
        launch.wait(first, lambda event: None)

    told: list[launch.RunEvent] = []
    assert launch.terminate(first)
    assert launch.wait(first, told.append) == "CANCELED"
    assert any("cancel" in event.message.lower() for event in told)
    assert all(event.at.tzinfo and event.level and event.message for event in told)
    assert not launch.terminate(first)
    assert launch.active_runs("acme") == []


def test_a_workspace_without_our_location_is_refused(home: Path) -> None:
    (home / "empty.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n", encoding="utf-8")
    (home / "workspace.yaml").write_text(
        "load_from:\n  - python_file: {relative_path: empty.py, location_name: other}\n", encoding="utf-8"
    )

    with pytest.raises(ConfigError, match=r"no code location 'cloudsync' \(it has: other\)"):
        launch.launch("initial_sync", "acme")


def test_a_workspace_file_that_is_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launch.WORKSPACE, str(home / "is-not-there.yaml"))

    with pytest.raises(ConfigError, match=launch.WORKSPACE):
        launch.launch("initial_sync", "acme")


def test_a_run_that_nobody_knows_is_an_error(instance: dg.DagsterInstance) -> None:
    assert instance.get_runs() == []

    with pytest.raises(StateError, match="no run nonsense"):
        launch.wait("nonsense", lambda event: None)


def test_a_failed_run_tells_why_in_the_words_of_the_step_that_failed(instance: dg.DagsterInstance) -> None:
    @dg.op
    def stumble() -> None:
        raise failure_of(AccessDenied("The key expired.", remedy="Renew it."), "acme")

    @dg.job
    def stumbling() -> None:
        stumble()

    run = stumbling.execute_in_process(instance=instance, raise_on_error=False)

    told = launch.RunFailure("AccessDenied", "acme: The key expired. Renew it.", "Renew it.", retryable=False)
    assert launch.failure(run.run_id) == told
    with pytest.raises(StateError):
        launch.failure("nonsense")


def test_the_daemon_is_alive_while_it_gives_signs_of_life(instance: dg.DagsterInstance) -> None:
    assert not launch.daemon_alive()
    with pytest.raises(StateError, match="dg dev"):
        launch.require_daemon()

    beat(instance, "QUEUED_RUN_COORDINATOR")

    assert launch.daemon_alive()
    launch.require_daemon()
    assert launch.schedules_active() == []


def test_schedules_are_active_while_they_are_on_and_a_daemon_ticks_them(instance: dg.DagsterInstance) -> None:
    with open_workspace(instance) as workspace:
        [repository] = workspace.get_code_location(launch.LOCATION).get_repositories().values()
        for schedule in repository.get_schedules():
            instance.stop_schedule(schedule.get_remote_origin_id(), schedule.selector_id, schedule)
            if schedule.name != "maintenance_schedule":
                instance.start_schedule(schedule)

    assert launch.schedules_active() == []
    beat(instance, "SCHEDULER")
    assert launch.schedules_active() == [
        "backup_schedule",
        "housekeeping_schedule",
        "incremental_schedule",
        "reconcile_schedule",
    ]


def test_an_instance_without_a_queue_needs_no_daemon(home: Path) -> None:
    (home / "dagster.yaml").write_text(
        "run_coordinator:\n  module: dagster._core.run_coordinator\n  class: DefaultRunCoordinator\n", encoding="utf-8"
    )

    launch.require_daemon()
