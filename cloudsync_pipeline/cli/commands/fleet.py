"""`integrations ...`: which there are, and whether they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync_pipeline.cli import interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode
from cloudsync_pipeline.cli.options import Json

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.control import Control

Names = Annotated[list[str], typer.Argument(help="One integration or several.", metavar="NAME...")]
_JSON = 'JSON: {"integrations": [{"integration", "state", "reason", "since", "configured", ...}]}.'


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    group = typer.Typer(no_args_is_help=True, help="List, pause, resume, remove, add, accept.")
    group.command("list", epilog=_JSON)(list_)
    group.command(epilog=_JSON)(pause)
    group.command(epilog=_JSON)(resume)
    group.command(epilog=_JSON)(remove)
    group.command(epilog=_JSON)(add)
    group.command(epilog=_JSON)(accept)
    app.add_typer(group, name="integrations")


def list_(context: typer.Context, json: Json = False) -> None:
    """List the integrations that are configured or were once, and their states."""
    fleet = invocation.of(context, json=json).fleet()
    with _control(fleet) as control:
        known = [one.name for one in control.list()]
        _show(fleet, control, sorted({*known, *fleet.integrations, *fleet.errors}), json=json)


def pause(
    context: typer.Context,
    names: Names,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it.")] = "paused by hand",
    json: Json = False,
) -> None:
    """Let nothing run for these integrations until they are resumed; a run under way ends by itself."""
    _each(context, names, lambda control, name: control.pause(name, reason), json=json)


def resume(context: typer.Context, names: Names, json: Json = False) -> None:
    """Let paused integrations run again; they are due at once."""
    _each(context, names, lambda control, name: control.resume(name), json=json)


def add(context: typer.Context, names: Names, json: Json = False) -> None:
    """Take integrations into the fleet, new ones and those that were removed; each is due for its initial sync."""

    fleet = invocation.of(context, json=json).fleet()
    for name in names:
        fleet.integration(name)
    with _control(fleet) as control:
        for name in names:
            if control.ensure(name).state == "removed":
                control.add_again(name)
        _show(fleet, control, names, json=json)


def remove(
    context: typer.Context,
    names: Names,
    delete_files: Annotated[
        bool | None,
        typer.Option(
            "--delete-files/--keep-files",
            help="Whether the integration's files are deleted from the file manager. It has to be said.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it.")] = "removed by hand",
    json: Json = False,
) -> None:
    """Take integrations out of the fleet; their stored state stays. Say whether their files go or stay."""
    if delete_files is None:
        raise typer.BadParameter(
            "say --keep-files or --delete-files: whether the integration's files stay in the file manager",
            param_hint="--delete-files / --keep-files",
        )
    fleet = invocation.of(context, json=json).fleet()
    if delete_files:
        for name in names:
            fleet.integration(name)
    with _control(fleet) as control:
        # First out of the fleet: nothing shall bring files back while they are being deleted.
        _change(fleet, control, names, lambda name: control.remove(name, reason))
        gone = [interrupts.run(_delete_files(fleet, name)) for name in names] if delete_files else []
        _show(fleet, control, names, json=json)
    if not all(gone):
        raise typer.Exit(ExitCode.PARTIAL)


def accept(context: typer.Context, names: Names, json: Json = False) -> None:
    """Accept that integrations now point at another storage or destination; everything is then owed again."""
    fleet = invocation.of(context, json=json).fleet()
    for name in names:
        fleet.integration(name)
    for name in names:
        interrupts.run(_accept(fleet, name))
        render.note(f"{name}: accepted as configured now; the next sync is a full scan")
    with _control(fleet) as control:
        _show(fleet, control, names, json=json)


async def _accept(fleet: Fleet, name: str) -> None:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.engine.runs import accept_identity

    run_id = new_run_id()
    async with wiring.open_session(fleet, name, run_id=run_id, purpose="accept", even_if_paused=True) as session:
        accept_identity(session, run_id=run_id)


async def _delete_files(fleet: Fleet, name: str) -> bool:
    """Whether all are gone."""
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.engine.removal import delete_files

    run_id = new_run_id()
    async with wiring.open_session(fleet, name, run_id=run_id, purpose="remove", even_if_paused=True) as session:
        removed = await delete_files(session, run_id=run_id)
    render.note(f"{name}: {removed.deleted:,} files deleted from the file manager")
    if removed.failed:
        render.note(f"{name}: {removed.failed:,} are still there; the same command tries those again")
        for failure in removed.failures[:10]:
            render.note(f"  {render.path(failure.path)}: {render.printable(failure.error)}")
    return removed.failed == 0


def _control(fleet: Fleet) -> Control:
    from cloudsync_pipeline import wiring

    return wiring.open_control(fleet.settings)


def _each(
    context: typer.Context, names: Sequence[str], change: Callable[[Control, str], object], *, json: bool
) -> None:
    """Change all, and show them."""
    fleet = invocation.of(context, json=json).fleet()
    with _control(fleet) as control:
        _change(fleet, control, names, lambda name: change(control, name))
        _show(fleet, control, names, json=json)


def _change(fleet: Fleet, control: Control, names: Sequence[str], change: Callable[[str], object]) -> None:
    """Change all, or none where one of the names is wrong."""
    known = {one.name for one in control.list()}
    for name in names:
        if name not in known:
            fleet.integration(name)
            control.ensure(name)
    for name in names:
        change(name)


def _show(fleet: Fleet, control: Control, names: Sequence[str], *, json: bool) -> None:
    known = {one.name: one for one in control.list()}
    documents: list[dict[str, Any]] = []
    for name in names:
        one = known.get(name)
        configured = "broken" if name in fleet.errors else "yes" if name in fleet.integrations else "no"
        documents.append(
            {
                "integration": name,
                "state": one.state if one else "new",
                "reason": one.reason if one else None,
                "since": one.state_changed_at if one else None,
                "configured": configured,
                "owner": fleet.integrations[name].owner if configured == "yes" else None,
                "tags": fleet.integrations[name].tags if configured == "yes" else {},
                "initial_done": bool(one and one.initial_done),
                "error": fleet.errors[name].message if name in fleet.errors else None,
            }
        )
    if json:
        render.emit_json({"integrations": documents})
        return
    columns = ("integration", "state", "since", "configured", "initial sync", "note")
    rows = [
        (
            one["integration"],
            one["state"],
            one["since"],
            one["configured"],
            "done" if one["initial_done"] else "due",
            one["error"] or one["reason"],
        )
        for one in documents
    ]
    render.table(columns, rows)
