"""`backup`, `backups` and `restore`: stored state kept safe, and put back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync_pipeline.cli import failures, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, worst
from cloudsync_pipeline.cli.options import Integrations, Json
from cloudsync_pipeline.core.errors import CloudSyncError, LockHeld

if TYPE_CHECKING:
    from cloudsync_pipeline.backup.databases import Storage
    from cloudsync_pipeline.backup.lakes import Made
    from cloudsync_pipeline.config import Fleet, Settings

Control = Annotated[bool, typer.Option("--control", help="The control database.")]
Dagster = Annotated[bool, typer.Option("--dagster", help="Dagster's own storage (runs, events, schedules).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_AGAIN = 0.5
"""Seconds between two tries for a lock."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    each = '{"exit_code", "parts": [{"part", "exit_code", "result", "error"}]}'
    app.command(epilog=f"JSON: {each}.")(backup)
    app.command(epilog='JSON: {"backups": [{"part", "made_at", "folder", "files", "bytes", "problem"}]}.')(backups)
    app.command(epilog=f"JSON: {each}.")(restore)


def backup(
    context: typer.Context,
    integration: Integrations = None,
    control: Control = False,
    dagster: Dagster = False,
    full: Annotated[bool, typer.Option("--full", help="Copy also what the backup before holds.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for an integration that is being written to.")
    ] = 60,
    json: Json = False,
) -> None:
    """Back stored state up.

    Each integration's lake, the control database, and Dagster's storage where DAGSTER_HOME names an instance; or
    only what is named. Syncs go on: a lake is held only while it is copied, and one that is being synced is waited for.
    """
    from cloudsync_pipeline import launch, wiring
    from cloudsync_pipeline.backup import databases, lakes

    fleet = invocation.of(context, json=json).fleet()
    settings = fleet.settings
    everything = not (integration or control or dagster)
    tasks: list[tuple[str, Callable[[], Any]]] = []
    if everything and settings.database.lakes is not None:
        # Said as an error: whoever asks for a backup of everything must not believe that there is one.
        tasks.append(("lakes", partial(lakes.require_files, settings)))
    elif everything or integration:
        for name in invocation.selected(fleet, integration):
            if wiring.has_lake(settings, name):
                tasks.append((name, partial(_back_up, fleet, name, full=full, wait=wait)))
            else:
                render.note(f"{name}: no stored state yet")
    if control or (everything and _wanted(settings, "the control database", databases.control_storage(settings))):
        tasks.append(("control", lambda: _thrown(fleet, databases.back_up_control(settings, full=full))))
    if dagster or (everything and launch.instance_configured() and _dagster_is_wanted(settings)):
        tasks.append(("dagster", lambda: _back_up_dagster(fleet, full=full)))
    _each(tasks, json=json)


def backups(
    context: typer.Context,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its checksum.")] = False,
    json: Json = False,
) -> None:
    """List the backups that there are.

    With `--verify`, exits with 8 where one is not whole.
    """
    from cloudsync_pipeline.backup import manifest, shelf

    root = invocation.of(context, json=json).fleet().settings.database.backup_path
    documents = []
    for part in shelf.parts(root):
        for one in shelf.listed(root, part):
            held, problem = None, None
            try:
                held = manifest.check(one.folder) if verify else manifest.read(one.folder)
            except CloudSyncError as error:
                problem = error.message
            documents.append(
                {
                    "part": part,
                    "made_at": one.made_at,
                    "folder": str(one.folder),
                    "files": len(held.files) if held else None,
                    "bytes": held.bytes if held else None,
                    "problem": problem,
                }
            )
    if json:
        render.emit_json({"backups": render.as_json(documents)})
    else:
        rows = [(d["part"], d["made_at"], d["files"], d["bytes"], d["problem"]) for d in documents]
        render.table(("part", "made", "files", "bytes", "problem"), rows)
    raise typer.Exit(ExitCode.STATE if any(d["problem"] for d in documents) else ExitCode.OK)


def restore(
    context: typer.Context,
    integration: Annotated[
        list[str] | None, typer.Option("--integration", "-i", help="An integration; again for several.", metavar="NAME")
    ] = None,
    control: Control = False,
    dagster: Dagster = False,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The newest backup from then or before (UTC). Default: the newest."),
    ] = None,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave a lake's former state beside it.")] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Other tools have put a lake back, as of --at: only let it be verified.")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put stored state back from a backup.

    An integration's next sync is then a full scan that asks the file manager what it holds before it plans anything.
    Nothing is restored from a backup that is not whole.
    """
    from cloudsync_pipeline.backup import databases

    fleet = invocation.of(context, json=json).fleet()
    if not (integration or control or dagster):
        raise typer.BadParameter("say what: --integration NAME, --control or --dagster")
    when = _moment(at)
    if in_place and (when is None or keep_old or control or dagster):
        raise typer.BadParameter("goes with --integration and --at alone", param_hint="--in-place")
    what = ", ".join([*(integration or ()), *(["control"] if control else ()), *(["dagster"] if dagster else ())])
    if not yes and not typer.confirm(f"replace the stored state of {what}?", err=True):
        raise typer.Exit(ExitCode.USAGE)
    tasks: list[tuple[str, Callable[[], Any]]] = []
    if control:
        tasks.append(("control", lambda: databases.restore_control(fleet.settings, at=when)))
    if dagster:
        tasks.append(("dagster", lambda: _restore_dagster(fleet, when)))
    for name in integration or ():
        if in_place and when is not None:
            tasks.append((name, partial(_mark, fleet, name, when)))
        else:
            tasks.append((name, partial(_restore, fleet, name, when, keep_old=keep_old)))
    _each(tasks, json=json)


def _back_up(fleet: Fleet, name: str, *, full: bool, wait: float) -> Made:
    from cloudsync_pipeline.backup import lakes
    from cloudsync_pipeline.cli.syncing import new_run_id

    until = time.monotonic() + wait
    while True:
        try:
            made = lakes.back_up(fleet.settings, name, run_id=new_run_id(), full=full)
        except LockHeld:
            if time.monotonic() >= until:
                raise
            time.sleep(_AGAIN)
        else:
            _thrown(fleet, made.backup)
            return made


def _restore(fleet: Fleet, name: str, at: datetime | None, *, keep_old: bool) -> Any:
    from cloudsync_pipeline.backup import lakes
    from cloudsync_pipeline.cli.syncing import new_run_id

    fleet.integration(name)
    return lakes.restore(fleet.settings, name, run_id=new_run_id(), at=at, keep_old=keep_old)


def _mark(fleet: Fleet, name: str, at: datetime) -> Any:
    from cloudsync_pipeline.backup import lakes
    from cloudsync_pipeline.cli.syncing import new_run_id

    fleet.integration(name)
    return lakes.mark(fleet.settings, name, run_id=new_run_id(), backup_at=at)


def _dagster_is_wanted(settings: Settings) -> bool:
    with _dagster() as (_, storage):
        return _wanted(settings, "Dagster's storage", storage)


def _wanted(settings: Settings, what: str, storage: Storage) -> bool:
    from cloudsync_pipeline.backup import databases

    wanted = databases.is_ours(settings, storage)
    if not wanted:
        render.note(f"{what} is in PostgreSQL, and left to its server's own backups (`database.backup_postgres`)")
    return wanted


def _back_up_dagster(fleet: Fleet, *, full: bool) -> Any:
    from cloudsync_pipeline.backup import databases

    with _dagster() as (_, storage):
        return _thrown(fleet, databases.back_up_dagster(fleet.settings, storage, full=full))


def _restore_dagster(fleet: Fleet, at: datetime | None) -> Any:
    from cloudsync_pipeline.backup import databases
    from cloudsync_pipeline.launch.storage import require_stopped

    with _dagster() as (instance, storage):
        require_stopped(instance)
    # Closed before: what replaces its files must find none of them open.
    return databases.restore_dagster(fleet.settings, storage, at=at)


@contextmanager
def _dagster() -> Iterator[tuple[Any, Storage]]:
    from cloudsync_pipeline.launch.instance import open_instance
    from cloudsync_pipeline.launch.storage import storage_of

    with open_instance() as instance:
        yield instance, storage_of(instance)


def _thrown(fleet: Fleet, made: Any) -> Any:
    """What was made, after the backups that are too old were thrown away."""
    from cloudsync_pipeline.backup import scheduled

    return scheduled.thrown_away(fleet.settings, made)


def _each(tasks: list[tuple[str, Callable[[], Any]]], *, json: bool) -> None:
    """Do all, whatever becomes of one of them, and say how each ended."""
    documents: list[dict[str, Any]] = []
    for name, task in tasks:
        one: dict[str, Any] = {"part": name, "exit_code": ExitCode.OK, "result": None, "error": None}
        try:
            one["result"] = render.as_json(task())
        except CloudSyncError as error:
            failures.tell(error)
            one |= {"exit_code": of_error(error), "error": failures.as_document(error)}
        else:
            if not json:
                render.say(f"{name}: {_told(one['result'])}")
        documents.append(one)
    code = worst(ExitCode(one["exit_code"]) for one in documents)
    if json:
        render.emit_json({"exit_code": code, "parts": documents})
    raise typer.Exit(code)


def _told(result: dict[str, Any]) -> str:
    if "backup" in result:
        return (
            f"{result['files']:,} files, {render.size(result['bytes'])}, in {result['backup']['folder']}; "
            f"{result['copied']:,} of them were new"
        )
    if "integration" in result:
        kept = f"; the former state is in {result['kept']}" if result["kept"] else ""
        return f"as of {result['made_at']}; its next sync asks the file manager first{kept}"
    return f"as of {result['made_at']}, {result['folder']}"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # Python reads the names of backups, too.
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time like 2026-01-31T12:00:00Z or 20260131T120000Z", param_hint="--at"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
