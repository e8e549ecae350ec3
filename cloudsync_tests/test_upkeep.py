"""Backups by themselves, and Dagster's own history: old runs go, what shows the state of a partition stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from cloudsync_pipeline.backup import shelf
from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.launch.forgetting import forget_runs, needed_runs
from cloudsync_pipeline.launch.storage import require_stopped, storage_of
from cloudsync_pipeline.schedules import backup_schedule
from cloudsync_tests.dagster_fleet import FleetOfTests, Result, a_fleet
from cloudsync_tests.test_schedules import requested

SYNCED = ("bucket_listing", "state_snapshot", "state_diff", "executed_operations", "sync_report")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path_factory.mktemp("upkeep"), "acme", "beta", lasting=True) as fleet:
        for name in ("acme", "beta"):
            fleet.storage(name).put("a.txt", name.encode())
        yield fleet


@pytest.fixture(scope="module")
def runs(fleet: FleetOfTests) -> dict[str, Result]:
    """Runs of two partitions; the first of acme is overtaken by the last."""
    return {
        "first": fleet.run("initial_sync", "acme"),
        "beta": fleet.run("initial_sync", "beta"),
        "upkeep": fleet.run("maintenance", "beta"),
        "last": fleet.run("reconcile", "acme"),
    }


def newest(fleet: FleetOfTests) -> dict[tuple[str, str], str]:
    """Which run made the newest materialization of each asset and partition."""
    found = {}
    for asset in SYNCED:
        for name in ("acme", "beta"):
            only = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[name])
            [record] = fleet.instance.fetch_materializations(only, limit=1).records
            found[asset, name] = record.run_id
    return found


def check_keys(fleet: FleetOfTests) -> set[dg.AssetCheckKey]:
    return set(fleet.definitions().get_repository_def().asset_graph.asset_check_keys)


def test_old_runs_go_and_the_newest_state_of_each_partition_stays(fleet: FleetOfTests, runs: dict[str, Result]) -> None:
    assert all(one.success for one in runs.values())
    before, checks = newest(fleet), check_keys(fleet)
    infos = {
        (one.check_key, one.partition_key): one.latest_execution_status
        for one in fleet.instance.event_log_storage.get_asset_check_partition_info(sorted(checks, key=str))
    }
    assert infos
    assert needed_runs(fleet.instance, checks) == {runs["beta"].run_id, runs["last"].run_id}

    assert forget_runs(fleet.instance, checks, before=datetime.now(UTC) - timedelta(days=1)).deleted == 0
    gone = forget_runs(fleet.instance, checks, before=datetime.now(UTC) + timedelta(minutes=1))

    assert (gone.deleted, gone.kept) == (2, 2)
    left = {record.dagster_run.run_id for record in fleet.instance.get_run_records()}
    assert left == {runs["beta"].run_id, runs["last"].run_id}
    assert newest(fleet) == before
    assert infos == {
        (one.check_key, one.partition_key): one.latest_execution_status
        for one in fleet.instance.event_log_storage.get_asset_check_partition_info(sorted(checks, key=str))
    }
    assert set(fleet.instance.get_materialized_partitions(dg.AssetKey("sync_report"))) == {"acme", "beta"}


def test_a_run_that_is_not_finished_stays(fleet: FleetOfTests, runs: dict[str, Result]) -> None:
    run = fleet.instance.run_storage.add_run(
        dg.DagsterRun(job_name="reconcile", run_id="0" * 32, status=dg.DagsterRunStatus.STARTED)
    )
    forget_runs(fleet.instance, check_keys(fleet), before=datetime.now(UTC) + timedelta(minutes=1))
    assert fleet.instance.get_run_by_id(run.run_id) is not None


def test_backups_are_requested_when_the_newest_is_too_old_and_made_by_a_job(
    fleet: FleetOfTests, runs: dict[str, Result]
) -> None:
    now = datetime.now(UTC)
    assert requested(fleet, backup_schedule, now) == []
    main = Path(fleet.config)
    main.write_text("database: {path: state, backup_enabled: true, backup_interval: 6h, backup_retention: 1}\n")
    assert requested(fleet, backup_schedule, now) == ["acme", "beta"]

    assert fleet.run("backup", "acme").success
    assert requested(fleet, backup_schedule, now) == ["beta"]
    assert requested(fleet, backup_schedule, now + timedelta(hours=7)) == ["acme", "beta"]

    done = fleet.definitions().resolve_job_def("housekeeping").execute_in_process(instance=fleet.instance)
    assert done.success
    root = main.parent / "backups"
    assert shelf.parts(root) == ["integrations/acme", "control", "dagster"]
    (kept,) = shelf.listed(root, "dagster")
    copied = {str(file.relative_to(kept.folder)) for file in kept.folder.rglob("*.db")}
    assert {"history/runs.db", "history/runs/index.db", "schedules/schedules.db"} <= copied


def test_dagsters_storage_is_not_replaced_below_a_daemon(fleet: FleetOfTests) -> None:
    def heartbeat(age: float) -> None:
        now = datetime.now(UTC).timestamp()
        fleet.instance.add_daemon_heartbeat(DaemonHeartbeat(now - age, "SENSOR", "id", None))

    heartbeat(age=20)
    with pytest.raises(StateError, match=r"A Dagster daemon works for this instance.*\(SENSOR\)"):
        require_stopped(fleet.instance)
    heartbeat(age=61)
    require_stopped(fleet.instance)


def test_dagsters_storage_comes_back_with_the_runs_that_were_deleted_since(
    fleet: FleetOfTests, runs: dict[str, Result], tmp_path: Path
) -> None:
    from cloudsync_pipeline.backup import databases

    settings = fleet.load().settings
    storage = storage_of(fleet.instance)
    databases.back_up_dagster(settings, storage)
    fleet.instance.delete_run(runs["beta"].run_id)
    databases.restore_dagster(settings, storage)
    with dg.DagsterInstance.from_config(fleet.instance.root_directory) as opened:
        assert opened.get_run_by_id(runs["beta"].run_id) is not None
        assert opened.all_logs(runs["beta"].run_id)


def test_what_a_check_saw_last_stays_although_a_newer_run_broke_off_before_it_looked() -> None:
    partitions = dg.StaticPartitionsDefinition(["acme"])
    breaks: list[bool] = []

    @dg.asset(partitions_def=partitions, check_specs=[dg.AssetCheckSpec("looks", asset="thing")])
    def thing():  # type: ignore[no-untyped-def] # Dagster reads the annotation, which must not be a string.
        if breaks.pop():
            raise dg.Failure("before it looked", allow_retries=False)
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="looks", passed=True)])

    with dg.DagsterInstance.ephemeral() as instance:
        for does in (False, False, True):
            breaks.append(does)
            dg.materialize([thing], partition_key="acme", instance=instance, raise_on_error=False)
        broken, seen, first = (one.dagster_run.run_id for one in instance.get_run_records())
        assert needed_runs(instance, thing.check_keys) == {seen, broken}

        forget_runs(instance, thing.check_keys, before=datetime.now(UTC) + timedelta(minutes=1))

        assert {one.dagster_run.run_id for one in instance.get_run_records()} == {seen, broken}
        assert instance.get_run_by_id(first) is None


def test_what_was_observed_last_stays_although_nothing_was_materialized() -> None:
    @dg.op
    def looks(context):  # type: ignore[no-untyped-def] # Dagster reads the annotation, which must not be a string.
        context.log_event(dg.AssetObservation("seen", partition="acme"))

    @dg.job
    def look() -> None:
        looks()

    with dg.DagsterInstance.ephemeral() as instance:
        _, last = (look.execute_in_process(instance=instance).run_id for _ in range(2))
        forget_runs(instance, [], before=datetime.now(UTC) + timedelta(minutes=1))
        assert [one.dagster_run.run_id for one in instance.get_run_records()] == [last]
