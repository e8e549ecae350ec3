"""`maintenance`: keeps stored state small and quick."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from cloudsync_pipeline.cli import failures, interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, worst
from cloudsync_pipeline.cli.options import Integrations, Json
from cloudsync_pipeline.core.errors import CloudSyncError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        epilog='JSON: {"exit_code", "integrations": [{"integration", "exit_code", '
        '"result": as lake.maintenance.Maintained, "error"}]}.'
    )(maintenance)


def maintenance(context: typer.Context, integration: Integrations = None, json: Json = False) -> None:
    """Keep stored state small and quick.

    Forgets what is past its retention, compacts, expires old snapshots, removes files that nothing needs.
    """
    fleet = invocation.of(context, json=json).fleet()
    documents = []
    for name in invocation.selected(fleet, integration):
        if name in fleet.integrations and not invocation.has_lake(fleet, name):
            render.note(f"{name}: no stored state yet")
            continue
        documents.append(interrupts.run(_maintain(fleet, name)))
        if not json:
            _say(documents[-1])
    code = worst(ExitCode(one["exit_code"]) for one in documents)
    if json:
        render.emit_json({"exit_code": code, "integrations": documents})
    raise typer.Exit(code)


async def _maintain(fleet: Fleet, name: str) -> dict[str, Any]:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.lake.maintenance import maintain

    run_id = new_run_id()
    try:
        fleet.integration(name)
        with wiring.open_lake(fleet.settings, name, run_id=run_id, purpose="maintenance", leaves_debts=True) as lake:
            done = maintain(lake, datetime.now(UTC), run_id=run_id, retention=wiring.retention(fleet.settings))
    except CloudSyncError as error:
        failures.tell(error)
        return {
            "integration": name,
            "exit_code": of_error(error),
            "result": None,
            "error": failures.as_document(error),
        }
    return {"integration": name, "exit_code": ExitCode.OK, "result": render.as_json(done), "error": None}


def _say(document: dict[str, Any]) -> None:
    if (done := document["result"]) is None:
        return
    render.say(
        f"{document['integration']}: {sum(done['forgotten'].values()):,} rows forgotten, {done['expired']:,} snapshots "
        f"expired, {done['released']['files'] + done['orphans']['files']:,} files removed; {done['files']:,} files, "
        f"{render.size(done['bytes'])} remain ({render.duration(done['seconds'])})"
    )
