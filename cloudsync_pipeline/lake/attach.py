"""Opens a DuckDB connection with a lake attached to it as the catalog `lake`.

Extensions are loaded from their wheels by file, so that an installation needs no network.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import duckdb

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake.faults import in_one_line, translated

CATALOG = "lake"
"""The name under which every lake is attached."""
METADATA = f"__ducklake_metadata_{CATALOG}"
"""DuckLake's own tables (DuckLake specification, "Tables"), as DuckDB names their catalog."""


def connect(
    *,
    memory_limit: str | None,
    threads: int,
    temp_directory: Path | None,
    extensions: Sequence[str] = (),
    wheels_are_trusted: bool = True,
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that never downloads or loads an extension by itself.

    What comes in wheels is loaded as Python loads a package's other libraries, DuckDB itself among them: pip compared
    the wheel with its hash when it was installed. To have DuckDB check the signature as well takes it a quarter of a
    second in each process, half of one in CPU time; `cloudsync test` does. Whatever else is loaded, here or later on
    this connection, must be signed.

    Args:
        memory_limit: as DuckDB spells it ("512MB"); None for DuckDB's own default.
        threads: worker threads, at least 1.
        temp_directory: where large sorts and joins spill; None for nowhere.
        extensions: to load, in this order, by their names with underscores ("sqlite_scanner"): from its wheel, else
            from DuckDB's own extension folder, else from the network.
        wheels_are_trusted: False has DuckDB check what comes in wheels, too.

    Raises:
        StateError: one is not signed, or neither installed nor to be downloaded; the message names its package.
    """
    shipped = {name: _in_wheel(name) for name in extensions}
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_unsigned_extensions": wheels_are_trusted and all(shipped.values()),
        "threads": threads,
        "temp_directory": str(temp_directory) if temp_directory else "",
    }
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    connection = duckdb.connect(":memory:", config=settings)
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        for name, file in shipped.items():
            _load(connection, name, file)
        connection.execute("SET GLOBAL allow_unsigned_extensions = false")
    except BaseException:
        connection.close()
        raise
    return connection


def _load(connection: duckdb.DuckDBPyConnection, name: str, shipped: Path | None) -> None:
    try:
        if shipped is not None:
            connection.execute(f"LOAD {literal(str(shipped))}")
            return
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")
    except duckdb.Error as error:
        package = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        found = f"from {shipped}" if shipped else "and it is not installed as a package"
        raise StateError(
            f"The DuckDB extension {name} could not be loaded {found}: {in_one_line(error)}.",
            remedy=f"Run: pip install {'--force-reinstall ' if shipped else ''}{package}",
        ) from error


def attach(
    connection: duckdb.DuckDBPyConnection,
    catalog: str,
    data_path: str,
    *,
    read_only: bool,
    integration: str,
    options: Sequence[str] = (),
) -> None:
    """Attach a DuckLake and make it the connection's default catalog.

    Args:
        catalog: DuckLake's own address of the catalog, without `ducklake:` ("sqlite:/path/catalog.sqlite").
        data_path: folder or URL of the Parquet files, ending in "/".
        options: further ATTACH options, spelled as SQL.

    Raises:
        StateError: the catalog is damaged, or cannot be reached.
    """
    # Inlined rows were doubled, and inlined deletes undone, by compaction beside a small update: inlining is off.
    # The data path is absolute in the catalog: overriding it lets a moved or restored folder open.
    wanted = [
        f"DATA_PATH {literal(data_path)}",
        "OVERRIDE_DATA_PATH true",
        "DATA_INLINING_ROW_LIMIT 0",
        *options,
        *(["READ_ONLY"] if read_only else []),
    ]
    with translated(integration, "opening the lake"):
        connection.execute(f"ATTACH {literal('ducklake:' + catalog)} AS {CATALOG} ({', '.join(wanted)})")
        connection.execute(f"USE {CATALOG}")


def literal(text: str) -> str:
    """Text as an SQL string literal, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _in_wheel(name: str) -> Path | None:
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return file if file.is_file() else None
