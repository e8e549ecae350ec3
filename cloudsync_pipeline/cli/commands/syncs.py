"""`initial-sync`, `incremental-sync`, `reconcile` and `plan`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync_pipeline.cli import interrupts, invocation, render
from cloudsync_pipeline.cli.commands import decisions
from cloudsync_pipeline.cli.exit_codes import worst
from cloudsync_pipeline.cli.options import Direct, Integrations, Json, SideBySide

if TYPE_CHECKING:
    from cloudsync_pipeline.cli.syncing import Ended
    from cloudsync_pipeline.engine.results import Mode

_SYNC_JSON = (
    'JSON: {"mode", "via", "exit_code", "integrations": [{"integration", "via", "run_id", "exit_code", "skipped", '
    '"result": as engine.results.SyncResult, "error"}]}.'
)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command("initial-sync", epilog=_SYNC_JSON)(initial_sync)
    app.command("incremental-sync", epilog=_SYNC_JSON)(incremental_sync)
    app.command("reconcile", epilog=_SYNC_JSON)(reconcile)
    group = typer.Typer(invoke_without_command=True)
    group.callback(epilog=_SYNC_JSON)(plan)
    decisions.add_to_plan(group)
    app.add_typer(group, name="plan")


def initial_sync(
    context: typer.Context,
    integration: Integrations = None,
    direct: Direct = False,
    side_by_side: SideBySide = 4,
    json: Json = False,
) -> None:
    """Bring every object over, for the first time.

    Scans the whole storage. What an interrupted one has done is not done again.
    """
    _run(context, "initial", integration, direct, side_by_side, json)


def incremental_sync(
    context: typer.Context,
    integration: Integrations = None,
    direct: Direct = False,
    side_by_side: SideBySide = 4,
    json: Json = False,
) -> None:
    """Bring over what changed.

    Takes what the event feed has, and brings over what it names and whatever else is owed. Without a feed it is a
    full scan.
    """
    _run(context, "incremental", integration, direct, side_by_side, json)


def reconcile(
    context: typer.Context,
    integration: Integrations = None,
    direct: Direct = False,
    side_by_side: SideBySide = 4,
    json: Json = False,
) -> None:
    """Prove that no change was missed.

    Scans the whole storage again, and brings over what was missed.
    """
    _run(context, "reconcile", integration, direct, side_by_side, json)


def plan(
    context: typer.Context,
    integration: Integrations = None,
    mode: Annotated[
        str, typer.Option("--mode", help="Plan for which sync: initial, incremental or reconcile.")
    ] = "reconcile",
    json: Json = False,
) -> None:
    """Show what a sync would do; show, approve or reject held deletes.

    Without a further command the storage is looked at and the plan is made and shown; no plan is stored, nothing is
    sent.
    """
    if context.invoked_subcommand is not None:
        return
    if mode not in {"initial", "incremental", "reconcile"}:
        raise typer.BadParameter("choose initial, incremental or reconcile", param_hint="--mode")
    _run(context, mode, integration, True, 4, json, dry_run=True)


def _run(
    context: typer.Context,
    mode: str,
    names: Sequence[str] | None,
    direct: bool,
    side_by_side: int,
    json: bool,
    *,
    dry_run: bool = False,
) -> None:
    from cloudsync_pipeline import launch
    from cloudsync_pipeline.cli import progress, syncing
    from cloudsync_pipeline.engine.results import Mode

    fleet = invocation.of(context, json=json).fleet()
    chosen = invocation.selected(fleet, names)
    by_dagster = not direct and launch.instance_configured()
    kind = Mode(mode)
    if not dry_run:
        render.note("through Dagster (DAGSTER_HOME is set)" if by_dagster else _why_direct(direct))
    if by_dagster:
        with interrupts.raising():
            ended = syncing.by_dagster(fleet, chosen, kind, skip_paused=not names, quiet=json)
    else:
        with progress.shown(quiet=json and not sys.stderr.isatty()) as on_progress:
            ended = interrupts.run(
                syncing.directly(
                    fleet,
                    chosen,
                    kind,
                    dry_run=dry_run,
                    skip_paused=not names,
                    side_by_side=side_by_side,
                    on_progress=on_progress,
                )
            )
    code = worst(one.code for one in ended)
    if json:
        via = "dagster" if by_dagster else "direct"
        render.emit_json(
            {"mode": mode, "via": via, "exit_code": code, "integrations": [one.document() for one in ended]}
        )
    else:
        _show(ended, kind, dry_run=dry_run)
    raise typer.Exit(code)


def _why_direct(asked: bool) -> str:
    return "directly, without Dagster" + ("" if asked else " (DAGSTER_HOME names no instance)")


def _show(ended: Sequence[Ended], mode: Mode, *, dry_run: bool) -> None:
    for one in ended:
        if one.result is None:
            continue
        if dry_run:
            _show_plan(one.integration, one.result)
        else:
            _show_result(one.integration, mode, one.result)


def _show_result(name: str, mode: Mode, result: Mapping[str, Any]) -> None:
    verdict = str(result.get("verdict", "?")).replace("_", " ")
    render.say(f"{name}: {mode.value} sync {verdict} in {render.duration(float(result.get('seconds') or 0))}")
    if events := result.get("events"):
        render.say(
            f"  events: {events['received']:,} received, {events['new']:,} new, {events['duplicates']:,} known, "
            f"{events['malformed']:,} not understood"
        )
        if events.get("gap"):
            render.say("  events were lost between two reads: a full scan is due")
    if (listing := result.get("listing")) and listing.get("reused"):
        render.say("  the listing of an interrupted run was used; without an event feed, another full scan is due")
    if snapshot := result.get("snapshot"):
        render.say(
            f"  storage: {snapshot['objects']:,} objects, {render.size(snapshot['bytes'])}; {snapshot['added']:,} new, "
            f"{snapshot['changed']:,} changed, {snapshot['removed']:,} gone"
        )
    if execution := result.get("execution"):
        render.say(f"  done: {render.counted(execution['done'])}; {render.size(execution['bytes'])} sent")
        for what in ("failed", "skipped", "quarantined"):
            if execution.get(what):
                render.say(f"  {what}: {render.counted(execution[what])}")
        for failure in execution.get("failures", [])[:20]:
            render.say(f"    {failure['status']} {failure['kind']} {render.path(failure['path'])}: {failure['error']}")
    if (planned := result.get("plan")) and planned.get("held"):
        render.say(f"  held: {planned['held']:,} deletes: {planned['guard_reason']}")
    for key in ("error", "report_error"):
        if result.get(key):
            render.say(f"  {key.replace('_', ' ')}: {render.printable(str(result[key]))}")


def _show_plan(name: str, result: Mapping[str, Any]) -> None:
    planned = result.get("plan")
    if planned is None:
        render.say(f"{name}: nothing could be planned")
        return
    render.say(f"{name}: would do: {render.counted(planned['by_kind'])}; {render.size(planned['bytes'])} to send")
    if planned["held"]:
        render.say(f"  would hold {planned['held']:,} deletes: {planned['guard_reason']}")
    if planned["quarantined"]:
        render.say(f"  {planned['quarantined']:,} owed paths are quarantined and not yet due")
    if planned["examples"]:
        rows = [
            (kind, render.path(path), render.path(new_path) if new_path else None, reason, held)
            for kind, path, new_path, reason, held in planned["examples"]
        ]
        render.table(("operation", "path", "new path", "reason", "held"), rows)
        left = sum(planned["by_kind"].values()) + planned["held"] - len(rows)
        if left > 0:
            render.say(f"  ... and {left:,} more")
