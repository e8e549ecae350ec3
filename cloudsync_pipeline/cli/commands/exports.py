"""`export-state`: a table of stored state as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cloudsync_pipeline.cli import invocation, render
from cloudsync_pipeline.cli.asof import AsOf, parse_as_of
from cloudsync_pipeline.cli.options import Json


class _Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("export-state", epilog='JSON: {"integration", "path", "table", "snapshot_id", "rows", "bytes"}.')(
        export_state
    )


def export_state(
    context: typer.Context,
    integration: Annotated[str, typer.Option("--integration", "-i", help="The integration.", metavar="NAME")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; by default INTEGRATION-TABLE.FORMAT here.")
    ] = None,
    table: Annotated[
        str, typer.Option("--table", "-t", help="Which table: files, objects, events, owed, outcomes, runs, ...")
    ] = "files",
    format: Annotated[  # noqa: A002 - the option's name
        _Format | None, typer.Option("--format", "-f", help="By default, as the file's ending says; else csv.")
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Write stored state to a file.

    One table of one integration, as CSV or Parquet, as it is or as it was.
    """
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.lake.export import ExportFormat, export

    fleet = invocation.of(context, json=json).fleet()
    snapshot, time = parse_as_of(as_of)
    fleet.integration(integration)
    if output is None:
        output = Path(f"{integration}-{table}.{format or _Format.CSV}")
    with wiring.open_lake(fleet.settings, integration, read_only=True) as lake:
        wanted = ExportFormat(format.value) if format else None
        written = export(lake, table, output.absolute(), format=wanted, snapshot=snapshot, time=time)
    if json:
        render.emit_json({"integration": integration, **render.as_json(written)})
    else:
        render.say(
            f"{written.rows:,} rows of {written.table}, snapshot {written.snapshot_id}, "
            f"{render.size(written.bytes)}: {written.path}"
        )
