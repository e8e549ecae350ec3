"""How a lake is opened, created, migrated and refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from cloudsync_pipeline.core.errors import SchemaTooNew, StateError
from cloudsync_pipeline.lake import schema
from cloudsync_pipeline.lake.attach import attach, connect, load_extension
from cloudsync_pipeline.storage.base import LISTING_SCHEMA
from cloudsync_tests.lake.builders import a_lake, paths, put_files, run_sql


def test_a_lake_is_made_where_there_is_none_and_found_again(tmp_path: Path) -> None:
    with a_lake(tmp_path / "deep" / "lake") as lake:
        put_files(lake, "a")
    with a_lake(tmp_path / "deep" / "lake") as lake:
        assert paths(lake) == ["a"]
        assert lake.staging.is_dir()


@pytest.mark.parametrize("settings", [{"read_only": True}, {"create": False}])
def test_a_missing_lake_is_not_made_unless_that_is_wanted(tmp_path: Path, settings: dict[str, bool]) -> None:
    with pytest.raises(StateError, match=r"acme: There is no lake in .*initial sync"):
        a_lake(tmp_path / "lake", **settings)
    assert not (tmp_path / "lake").exists()


def test_a_reader_sees_what_a_writer_committed_and_may_not_write(tmp_path: Path) -> None:
    with a_lake(tmp_path) as writer, a_lake(tmp_path, read_only=True) as reader:
        put_files(writer, "a")
        assert paths(reader) == ["a"]
        put_files(writer, "b")
        assert paths(reader) == ["a", "b"]
        with pytest.raises(StateError, match="reading only"):
            put_files(reader, "c")


def test_a_long_read_neither_blocks_a_commit_nor_sees_it(tmp_path: Path) -> None:
    with a_lake(tmp_path) as writer, a_lake(tmp_path, read_only=True) as reader:
        run_sql(writer, "INSERT INTO files (path) SELECT range::VARCHAR FROM range(50000)")
        rows = reader.batches("SELECT path FROM files", rows=1_000)
        seen = next(rows).num_rows
        put_files(writer, "late")
        assert seen + sum(batch.num_rows for batch in rows) == 50_000
        assert reader.scalar("SELECT count(*) FROM files") == 50_001


@pytest.mark.parametrize("name", ["a*", "[x]", "it's", "a%20b é", 'quo"te'])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    with a_lake(tmp_path / name) as lake:
        put_files(lake, "a")
        assert paths(lake) == ["a"]


def test_a_moved_lake_opens_and_keeps_its_new_files_in_its_new_place(tmp_path: Path) -> None:
    with a_lake(tmp_path / "old") as lake:
        put_files(lake, "a")
    shutil.move(tmp_path / "old", tmp_path / "new")
    with a_lake(tmp_path / "new") as lake:
        put_files(lake, "b")
        assert paths(lake) == ["a", "b"]
    assert not (tmp_path / "old").exists()


def test_a_damaged_catalog_is_an_error_that_names_the_integration(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateError, match="acme: The lake failed while opening"):
        a_lake(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with a_lake(tmp_path) as lake:
        run_sql(lake, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    for settings in ({}, {"read_only": True}):
        with pytest.raises(SchemaTooNew, match="version 99"):
            a_lake(tmp_path, **settings)


def test_a_lake_whose_making_was_interrupted_before_its_tables_is_finished(tmp_path: Path) -> None:
    connection = connect(memory_limit=None, threads=1, temp_directory=None)
    load_extension(connection, "sqlite_scanner")
    load_extension(connection, "ducklake")
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


def test_an_older_lake_is_migrated_forward_with_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_lake(tmp_path) as lake:
        put_files(lake, "a")
    _with_a_migration(monkeypatch, "ALTER TABLE files ADD COLUMN colour VARCHAR; UPDATE files SET colour = 'red';")
    with a_lake(tmp_path) as lake:
        assert lake.read("SELECT path, colour FROM files") == [("a", "red")]
        assert lake.scalar("SELECT value FROM meta WHERE name = 'schema_version'") == str(schema.VERSION)
        assert lake.snapshots(1)[0].message == f"migrate: to version {schema.VERSION}"


def test_a_migration_that_fails_leaves_the_lake_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_lake(tmp_path) as lake:
        put_files(lake, "a")
        before = lake.current_snapshot()
    with monkeypatch.context() as broken:
        _with_a_migration(broken, "ALTER TABLE files ADD COLUMN colour VARCHAR; UPDATE no_such_table SET x = 1;")
        with pytest.raises(StateError, match="no_such_table"):
            a_lake(tmp_path)
    with a_lake(tmp_path) as lake:
        assert lake.current_snapshot() == before


def test_the_schema_holds_the_tables_it_names_and_keys_that_they_have(tmp_path: Path) -> None:
    with a_lake(tmp_path) as lake:
        columns = lake.read("SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'")
    assert {table for table, _ in columns} == set(schema.TABLES)
    keys = {(table, column) for table, names in schema.ONE_ROW_EACH.items() for column in names}
    assert keys <= set(columns)


def test_objects_have_the_columns_of_a_listing_with_their_types(tmp_path: Path) -> None:
    with a_lake(tmp_path) as lake:
        objects = lake.arrow("SELECT * FROM objects").schema
        required = {
            name
            for (name,) in lake.read(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = 'objects' AND NOT is_nullable"
            )
        }
    assert [(field.name, field.type) for field in objects] == [(f.name, f.type) for f in LISTING_SCHEMA]
    assert required == {field.name for field in LISTING_SCHEMA if not field.nullable}


def test_no_extension_is_fetched_by_itself_and_none_is_loaded_unsigned(tmp_path: Path) -> None:
    with a_lake(tmp_path) as lake:
        settings = lake.one(
            "SELECT current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions'), "
            "current_setting('allow_unsigned_extensions')"
        )
        files = dict(
            lake.read(
                "SELECT extension_name, install_path FROM duckdb_extensions() "
                "WHERE loaded AND extension_name IN ('ducklake', 'sqlite_scanner')"
            )
        )
    assert settings == (False, False, False)
    assert set(files) == {"ducklake", "sqlite_scanner"}


def test_an_extension_that_was_tampered_with_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudsync_pipeline.lake import attach as module

    real = module._in_wheel("sqlite_scanner")
    assert real is not None
    content = bytearray(real.read_bytes())
    content[len(content) // 2] ^= 0xFF
    forged = tmp_path / real.name
    forged.write_bytes(content)
    monkeypatch.setattr(module, "_in_wheel", lambda name: forged)
    connection = connect(memory_limit=None, threads=1, temp_directory=None)
    with pytest.raises(StateError, match=r"sqlite_scanner could not be loaded.*signature"):
        load_extension(connection, "sqlite_scanner")
    connection.close()


def test_an_extension_that_cannot_be_had_is_an_error_that_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudsync_pipeline.lake import attach as module

    class Offline:
        def execute(self, sql: str) -> None:
            raise duckdb.HTTPException(f"no network for {sql}")

    monkeypatch.setattr(module, "_in_wheel", lambda name: None)
    with pytest.raises(StateError, match=rf"pip install duckdb-extension-sqlite-scanner=={duckdb.__version__}"):
        load_extension(Offline(), "sqlite_scanner")  # type: ignore[arg-type]
