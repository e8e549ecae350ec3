"""The lake's tables, by version. A migration is a numbered SQL file; it runs in one commit with its version bump."""

from __future__ import annotations

from importlib.resources import files

from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import SchemaTooNew, StateError
from cloudsync_pipeline.lake.attach import CATALOG, METADATA

VERSION = 2
"""The schema that this release writes: the newest numbered file in `sql/`."""

TABLES = (
    "meta",
    "objects",
    "files",
    "desired_permissions",
    "events",
    "event_identities",
    "owed",
    "operations",
    "plans",
    "outcomes",
    "runs",
    "listings",
    "steps",
    "approvals",
)

ONE_ROW_EACH: dict[str, tuple[str, ...]] = {
    "meta": ("name",),
    "objects": ("key",),
    "files": ("path",),
    "desired_permissions": ("path",),
    "owed": ("path", "aspect"),
    "event_identities": ("identity",),
    "events": ("identity",),
    "operations": ("op_id",),
    "outcomes": ("op_id",),
    "plans": ("plan_id",),
    "runs": ("run_id",),
    "listings": ("listing_id",),
    "approvals": ("path",),
}
"""By which columns no two rows of a table may be equal. DuckLake has no unique keys; commits assert it."""

STORED_AS = {"parquet_version": "2", "parquet_compression": "lz4_raw"}
"""DuckLake's options for new data files. Of a million files, several columns are read in half the time that its
defaults take (version 1, snappy), and written in less; they take as much room."""


def sql(name: str) -> str:
    """The text of `lake/sql/<name>.sql`."""
    return files("cloudsync_pipeline.lake").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def stored_version(connection: DuckDBPyConnection) -> int:
    """The lake's schema version; 0 for a lake without tables."""
    there = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main' AND table_name = 'meta'",
        [CATALOG],
    ).fetchone()
    if there is None:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    if row is None:
        raise StateError("The lake's schema version is missing.", remedy="Restore the lake's folder from a copy of it.")
    return int(row[0])


def check(version: int, *, integration: str, read_only: bool) -> None:
    """Refuse a lake that this release cannot use as it stands.

    Raises:
        SchemaTooNew: written by a newer release.
        StateError: older than this release, and opened for reading, so that it cannot be migrated now.
    """
    if version > VERSION:
        raise SchemaTooNew(
            f"The lake has schema version {version}; this release knows versions up to {VERSION}.",
            integration=integration,
            remedy="Use the release that wrote it, or a newer one.",
        )
    if read_only and version < VERSION:
        raise StateError(
            f"The lake has schema version {version} and must be migrated to {VERSION} first.",
            integration=integration,
            remedy="Run a sync of this integration once; it migrates the lake.",
        )


def migrate(connection: DuckDBPyConnection, number: int) -> None:
    """Run migration `number` within the current transaction, and note the new version."""
    connection.execute(sql(f"schema_{number:03}"))
    connection.execute("DELETE FROM meta WHERE name = 'schema_version'")
    connection.execute("INSERT INTO meta (name, value) VALUES ('schema_version', ?)", [str(number)])


def store_as_wanted(connection: DuckDBPyConnection) -> None:
    """Have data files written as `STORED_AS` says from now on; those that are there stay readable."""
    options = f"SELECT key, value FROM {METADATA}.ducklake_metadata WHERE scope IS NULL"
    stored = dict(connection.execute(options).fetchall())
    for option, value in STORED_AS.items():
        if stored.get(option, "").removeprefix("V") != value:  # a version is given as 2, and kept as V2
            connection.execute(f"CALL {CATALOG}.set_option('{option}', '{value}')")
