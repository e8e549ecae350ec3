"""How the control database is opened, shared and refused."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.control import Control, database
from cloudsync_pipeline.control.database import Database
from cloudsync_pipeline.control.tables import UtcDateTime, schema_version
from cloudsync_pipeline.core.errors import ConfigError, SchemaTooNew, StateError


def test_what_was_stored_is_there_after_reopening(url: str) -> None:
    with Control.open(url) as control:
        control.ensure("acme")
    with Control.open(url) as control:
        assert [integration.name for integration in control.list()] == ["acme"]


def test_two_may_open_an_empty_database_at_once(url: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            with Control.open(url) as control:
                control.ensure("acme")
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Control.open(url) as control:
        assert len(control.list()) == 1


def _request_scans(url: str, count: int) -> None:
    with Control.open(url) as control:
        for n in range(count):
            control.heartbeats.beat(f"integration-{n}", run_id="r", holder="h", at=datetime.now(UTC))
            control.request_scan("acme", f"reason {n}")


def test_writers_of_several_processes_take_turns(url: str) -> None:
    with Control.open(url) as control:
        control.ensure("acme")
        spawn = multiprocessing.get_context("spawn")
        other = spawn.Process(target=_request_scans, args=(url, 50))
        other.start()
        while other.is_alive():
            control.request_scan("acme", "mine")
        other.join()
        assert other.exitcode == 0
        assert len(control.heartbeats.all()) == 50


def test_a_newer_schema_is_refused(url: str) -> None:
    opened = Database.open(url)
    with opened.writing() as connection:
        connection.execute(schema_version.insert().values(version=99, migrated_at=datetime.now(UTC)))
    opened.close()
    with pytest.raises(SchemaTooNew, match="version 99"):
        Control.open(url)


def test_an_older_database_is_migrated_forward_with_its_rows(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Control.open(url) as control:
        control.ensure("acme")

    def add_colour(connection: sa.Connection) -> None:
        connection.execute(sa.text("ALTER TABLE integrations ADD COLUMN colour VARCHAR(10) DEFAULT 'red'"))

    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, add_colour))
    opened = Database.open(url)
    with opened.reading() as connection:
        assert connection.execute(sa.text("SELECT name, colour FROM integrations")).all() == [("acme", "red")]
        assert connection.execute(sa.select(sa.func.max(schema_version.c.version))).scalar() == len(database.MIGRATIONS)
    opened.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Control.open(url).close()

    def broken(connection: sa.Connection) -> None:
        connection.execute(sa.text("ALTER TABLE integrations ADD COLUMN colour VARCHAR(10)"))
        connection.execute(sa.text("DROP TABLE no_such_table"))

    with monkeypatch.context() as patched:
        patched.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, broken))
        with pytest.raises(StateError, match="no_such_table"):
            Database.open(url)
    opened = Database.open(url)
    with opened.reading() as connection:
        columns = {column["name"] for column in sa.inspect(connection).get_columns("integrations")}
    opened.close()
    assert "colour" not in columns


def test_times_come_back_aware_in_utc(url: str) -> None:
    opened = Database.open(url)
    elsewhere = datetime(2026, 3, 1, 7, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
    with opened.writing() as connection:
        connection.execute(schema_version.insert().values(version=0, migrated_at=elsewhere))
        found = connection.execute(sa.select(schema_version.c.migrated_at).order_by(schema_version.c.version)).scalar()
    opened.close()
    assert found == elsewhere
    assert found is not None
    assert found.tzinfo is UTC


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 3, 1), sa.create_engine("sqlite://").dialect)  # noqa: DTZ001


def test_sqlite_is_kept_so_that_readers_and_a_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    Control.open(f"sqlite:///{tmp_path}/control.sqlite").close()
    connection = sqlite3.connect(tmp_path / "control.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not one"),
        ("mysql://user@host/name", "kind 'mysql'"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_configuration_error(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Control.open(url)


def test_a_database_that_cannot_be_reached_is_an_error_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"The control database .* failed") as caught:
        Control.open(f"postgresql://fleet:sesame@/fleet?host={tmp_path}")
    assert "sesame" not in str(caught.value)
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be made"):
        Control.open(f"sqlite:///{tmp_path}/file/control.sqlite")
    (tmp_path / "broken.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateError, match="not a database"):
        Control.open(f"sqlite:///{tmp_path}/broken.sqlite")
