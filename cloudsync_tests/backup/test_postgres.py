"""Databases in PostgreSQL: dumped beside whoever uses them, and put back whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from cloudsync_pipeline import wiring
from cloudsync_pipeline.backup import databases, files, manifest, postgres, scheduled, shelf
from cloudsync_pipeline.config import Settings, load_fleet
from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.launch.storage import storage_of
from cloudsync_tests.control.postgres import emptied
from cloudsync_tests.e2e.builders import a_deployment

PASSWORD = "planted-password"


@pytest.fixture
def settings(tmp_path: Path, postgres_server: sa.URL) -> Settings:
    """A fleet whose control database is on the server."""
    url = sa.make_url(emptied(postgres_server)).set(password=PASSWORD).render_as_string(hide_password=False)
    deployment = a_deployment(tmp_path / "fleet", f"database: {{path: state, url: '{url}'}}\n")
    return load_fleet(deployment.config).settings


@pytest.fixture
def instance(tmp_path: Path, postgres_server: sa.URL, settings: Settings) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in the same database."""
    url = postgres_server.render_as_string(hide_password=False)
    (tmp_path / "dagster.yaml").write_text(
        json.dumps({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}})
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_the_control_database_comes_back_with_every_integration_due_for_a_scan(settings: Settings) -> None:
    with wiring.open_control(settings) as control:
        control.ensure("acme")
        control.pause("acme", "before the backup")
    made = databases.back_up_control(settings)
    with wiring.open_control(settings) as control:
        control.resume("acme")
        control.ensure("added-since")

    databases.restore_control(settings)

    with wiring.open_control(settings) as control:
        assert [one.name for one in control.list()] == ["acme"]
        assert control.get("acme").state == "paused"
        assert control.get("acme").scan_requested
    for file in made.folder.iterdir():
        assert PASSWORD.encode() not in file.read_bytes()


def test_dagsters_runs_come_back_and_other_tables_of_the_database_stay(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    @dg.asset
    def thing() -> None: ...

    run = dg.materialize([thing], instance=instance)
    storage = storage_of(instance)
    databases.back_up_dagster(settings, storage)
    with wiring.open_control(settings) as control:
        control.ensure("made-since")
    instance.delete_run(run.run_id)
    assert instance.fetch_materializations(thing.key, limit=1).records == []

    databases.restore_dagster(settings, storage)

    assert instance.get_run_by_id(run.run_id) is not None
    [found] = instance.fetch_materializations(thing.key, limit=1).records
    assert found.run_id == run.run_id
    # Numbers go on behind those that came back.
    assert dg.materialize([thing], instance=instance).success
    with wiring.open_control(settings) as control:
        assert [one.name for one in control.list()] == ["made-since"]


def test_a_dump_that_is_no_dump_changes_nothing(settings: Settings) -> None:
    with wiring.open_control(settings) as control:
        control.ensure("acme")
    made = databases.back_up_control(settings)
    held = manifest.read(made.folder)
    dump = made.folder / postgres.DUMP
    content = dump.read_bytes()
    dump.write_bytes(content[: len(content) // 2])
    with pytest.raises(StateError, match="is not whole"):
        databases.restore_control(settings)
    half = manifest.Held(dump.stat().st_size, files.digest(dump))
    manifest.Manifest(held.part, held.kind, held.made_at, held.facts, {postgres.DUMP: half}).write(made.folder)
    with pytest.raises(StateError, match="pg_restore failed"):
        databases.restore_control(settings)
    with wiring.open_control(settings) as control:
        assert [one.name for one in control.list()] == ["acme"]


def test_where_the_server_has_backups_of_its_own_none_are_made_here(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    def made(**told: bool) -> list[str]:
        database = settings.database.model_copy(update={"backup_enabled": True, **told})
        changed = settings.model_copy(update={"database": database})
        return [one.part for one in scheduled.databases_if_due(changed, storage_of(instance))]

    assert made(backup_postgres=False) == []
    assert made() == ["control", "dagster"]


def test_without_its_programs_it_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    with pytest.raises(StateError, match="pg_dump is not installed here") as error:
        databases.back_up_control(settings)
    assert "postgresql-client" in str(error.value.remedy)
    assert "`database.backup_postgres: false`" in str(error.value.remedy)
    monkeypatch.undo()
    assert shelf.listed(settings.database.backup_path, databases.CONTROL) == []
