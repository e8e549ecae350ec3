"""How a lake is opened, created, migrated and refused."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

import duckdb
import pytest

from cloudsync_pipeline.core.errors import SchemaTooNew, StateError
from cloudsync_pipeline.lake import attach as attach_module
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.attach import attach, connect
from cloudsync_pipeline.storage.base import LISTING_SCHEMA
from cloudsync_tests.lake.builders import a_lake, moved, paths, put_files, run_sql
from cloudsync_tests.lake.places import Place, Servers


def test_a_lake_is_made_where_there_is_none_and_found_again(place: Place) -> None:
    with a_lake(place("deep/lake")) as lake:
        put_files(lake, "a")
    with a_lake(place("deep/lake")) as lake:
        assert paths(lake) == ["a"]
        assert lake.staging.is_dir()


@pytest.mark.parametrize("settings", [{"read_only": True}, {"create": False}])
def test_a_missing_lake_is_not_made_unless_that_is_wanted(place: Place, settings: dict[str, bool]) -> None:
    with pytest.raises(StateError, match=r"acme: There is no lake in .*initial sync"):
        a_lake(place("lake"), **settings)
    assert not place("lake").exists()
    assert not place("lake").folder.exists()


def test_a_reader_sees_what_a_writer_committed_and_may_not_write(place: Place) -> None:
    with a_lake(place("lake")) as writer, a_lake(place("lake"), read_only=True) as reader:
        put_files(writer, "a")
        assert paths(reader) == ["a"]
        put_files(writer, "b")
        assert paths(reader) == ["a", "b"]
        with pytest.raises(StateError, match="reading only"):
            put_files(reader, "c")


def test_a_long_read_neither_blocks_a_commit_nor_sees_it(place: Place) -> None:
    with a_lake(place("lake")) as writer, a_lake(place("lake"), read_only=True) as reader:
        run_sql(writer, "INSERT INTO files (path) SELECT range::VARCHAR FROM range(50000)")
        rows = reader.batches("SELECT path FROM files", rows=1_000)
        seen = next(rows).num_rows
        put_files(writer, "late")
        assert seen + sum(batch.num_rows for batch in rows) == 50_000
        assert reader.scalar("SELECT count(*) FROM files") == 50_001


def test_a_bucket_s_key_that_is_wrong_by_now_opens_nothing(lake_servers: Servers, tmp_path: Path) -> None:
    location = lake_servers.location(tmp_path / "lake", f"lake_{uuid.uuid4().hex[:8]}")
    with a_lake(location) as lake:
        put_files(lake, "a")
    with a_lake(location, read_only=True) as lake:
        assert paths(lake) == ["a"]
    bucket = dataclasses.replace(location.files.bucket, secret_key="wrong")
    elsewhere = dataclasses.replace(location, files=dataclasses.replace(location.files, bucket=bucket))
    with pytest.raises(StateError, match=r"SignatureDoesNotMatch.*Check `database.lakes`"):
        a_lake(elsewhere, read_only=True)
    lake_servers.forget(location.schema)


@pytest.mark.parametrize("name", ["a*", "[x]", "it's", "a%20b é", 'quo"te'])
def test_a_lake_may_lie_in_a_folder_or_schema_of_any_name(place: Place, name: str) -> None:
    with a_lake(place(name)) as lake:
        put_files(lake, "a")
        assert paths(lake) == ["a"]


def test_a_moved_lake_opens_and_keeps_its_new_files_in_its_new_place(place: Place) -> None:
    with a_lake(place("old")) as lake:
        put_files(lake, "a")
    new = moved(place("old"), place("new"))
    with a_lake(new) as lake:
        put_files(lake, "b")
        assert paths(lake) == ["a", "b"]
    assert not place("old").folder.exists() or not list(place("old").files.list())


def test_a_damaged_catalog_is_an_error_that_names_the_integration(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateError, match="acme: The lake failed while opening"):
        a_lake(tmp_path)


def test_a_newer_schema_is_refused(place: Place) -> None:
    with a_lake(place("lake")) as lake:
        run_sql(lake, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    for settings in ({}, {"read_only": True}):
        with pytest.raises(SchemaTooNew, match="version 99"):
            a_lake(place("lake"), **settings)


def test_a_lake_whose_making_was_interrupted_before_its_tables_is_finished(tmp_path: Path) -> None:
    connection = connect(memory_limit=None, threads=1, temp_directory=None, extensions=("sqlite_scanner", "ducklake"))
    attach(connection, f"sqlite:{tmp_path}/catalog.sqlite", f"{tmp_path}/data/", read_only=False, integration="acme")
    connection.close()
    with pytest.raises(StateError, match="must be migrated"):
        a_lake(tmp_path, read_only=True)
    with a_lake(tmp_path) as lake:
        assert lake.scalar("SELECT value FROM meta WHERE name = 'schema_version'") == str(schema.VERSION)


def _with_a_migration(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    present, version = schema.sql, schema.VERSION + 1
    monkeypatch.setattr(schema, "VERSION", version)
    monkeypatch.setattr(schema, "sql", lambda name: text if name == f"schema_{version:03}" else present(name))


def test_an_older_lake_is_migrated_forward_with_its_rows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_lake(place("lake")) as lake:
        put_files(lake, "a")
    _with_a_migration(monkeypatch, "ALTER TABLE files ADD COLUMN colour VARCHAR; UPDATE files SET colour = 'red';")
    with a_lake(place("lake")) as lake:
        assert lake.read("SELECT path, colour FROM files") == [("a", "red")]
        assert lake.scalar("SELECT value FROM meta WHERE name = 'schema_version'") == str(schema.VERSION)
        assert lake.snapshots(1)[0].message == f"migrate: to version {schema.VERSION}"


def test_a_migration_that_fails_leaves_the_lake_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_lake(place("lake")) as lake:
        put_files(lake, "a")
        before = lake.current_snapshot()
    with monkeypatch.context() as broken:
        _with_a_migration(broken, "ALTER TABLE files ADD COLUMN colour VARCHAR; UPDATE no_such_table SET x = 1;")
        with pytest.raises(StateError, match="no_such_table"):
            a_lake(place("lake"))
    with a_lake(place("lake")) as lake:
        assert lake.current_snapshot() == before


def test_the_schema_holds_the_tables_it_names_and_keys_that_they_have(place: Place) -> None:
    with a_lake(place("lake")) as lake:
        columns = lake.read("SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'")
    assert {table for table, _ in columns} == set(schema.TABLES)
    keys = {(table, column) for table, names in schema.ONE_ROW_EACH.items() for column in names}
    assert keys <= set(columns)


def test_objects_have_the_columns_of_a_listing_with_their_types(place: Place) -> None:
    with a_lake(place("lake")) as lake:
        objects = lake.arrow("SELECT * FROM objects").schema
        required = {
            name
            for (name,) in lake.read(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = 'objects' AND NOT is_nullable"
            )
        }
    assert [(field.name, field.type) for field in objects] == [(f.name, f.type) for f in LISTING_SCHEMA]
    assert required == {field.name for field in LISTING_SCHEMA if not field.nullable}


def test_no_extension_is_fetched_by_itself_and_none_is_loaded_unsigned(place: Place) -> None:
    with a_lake(place("lake")) as lake:
        settings = lake.one(
            "SELECT current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions'), "
            "current_setting('allow_unsigned_extensions')"
        )
        files = dict(
            lake.read(
                "SELECT extension_name, install_path FROM duckdb_extensions() "
                "WHERE loaded AND install_mode IS DISTINCT FROM 'STATICALLY_LINKED'"
            )
        )
    assert settings == (False, False, False)
    assert set(files) == set(lake.location.extensions)


class Offline:
    """A DuckDB without a network."""

    def __init__(self, _name: str, config: dict[str, object]) -> None:
        self.unsigned = config["allow_unsigned_extensions"]

    def execute(self, sql: str) -> None:
        if sql.startswith("INSTALL"):
            raise duckdb.HTTPException(f"no network for {sql}, unsigned {self.unsigned}")

    def close(self) -> None:
        pass


def test_a_library_that_is_loaded_later_must_be_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = attach_module._in_wheel("ducklake")
    assert real is not None
    content = bytearray(real.read_bytes())
    content[-1] ^= 0xFF  # Of its signature: the library itself would load.
    forged = tmp_path / real.name
    forged.write_bytes(content)
    connection = connect(memory_limit=None, threads=1, temp_directory=None, extensions=["sqlite_scanner"])
    with pytest.raises(duckdb.IOException, match="signature"):
        connection.execute(f"LOAD '{forged}'")
    with pytest.raises(duckdb.InvalidInputException, match="allow_unsigned_extensions"):
        connection.execute("SET GLOBAL allow_unsigned_extensions = true")
    connection.close()
    # And at once, where the wheels are not trusted.
    monkeypatch.setattr(attach_module, "_in_wheel", lambda _: forged)
    with pytest.raises(StateError, match=r"ducklake could not be loaded.*signature"):
        connect(memory_limit=None, threads=1, temp_directory=None, extensions=["ducklake"], wheels_are_trusted=False)


def test_where_one_extension_comes_in_no_wheel_all_must_be_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = attach_module._in_wheel
    monkeypatch.setattr(attach_module, "_in_wheel", lambda name: real(name) if name == "ducklake" else None)
    monkeypatch.setattr(duckdb, "connect", Offline)
    with pytest.raises(StateError, match="unsigned False"):
        connect(memory_limit=None, threads=1, temp_directory=None, extensions=["ducklake", "sqlite_scanner"])


def test_an_extension_that_cannot_be_had_is_an_error_that_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_module, "_in_wheel", lambda name: None)
    monkeypatch.setattr(duckdb, "connect", Offline)
    with pytest.raises(StateError, match=rf"pip install duckdb-extension-sqlite-scanner=={duckdb.__version__}"):
        connect(memory_limit=None, threads=1, temp_directory=None, extensions=["sqlite_scanner"])
