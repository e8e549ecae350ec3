"""`status`, `runs` and `files`: what is known, read from stored state alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync_pipeline.cli import failures, invocation, quarantine, render
from cloudsync_pipeline.cli.asof import AsOf, parse_as_of
from cloudsync_pipeline.cli.exit_codes import ExitCode, of_error, of_verdict, worst
from cloudsync_pipeline.cli.options import Integrations, Json
from cloudsync_pipeline.core.errors import CloudSyncError

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet
    from cloudsync_pipeline.control import Holder
    from cloudsync_pipeline.control.records import Integration, RunResult


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command(
        epilog='JSON: {"integrations": [{"integration", "configured", "state", "last_run", "next", "counts", '
        '"holder", "lake", "error"}]}; "lake" (as engine.results.Status, and "quarantine": up to 100 of {"path", '
        '"aspect", "error", "error_kind", "attempts", "since", "quarantined_at", "next_try"}) is there for those '
        "that are named."
    )(status)
    app.command(
        epilog='JSON: {"runs": [{"run_id", "integration", "mode", "verdict", "started_at", "finished_at", "results"}]}.'
    )(runs)
    app.command(
        epilog='JSON: {"integration", "table", "snapshot_id", "rows": [...], "next_after"}: pass next_after to --after.'
    )(files)


def status(
    context: typer.Context,
    integration: Integrations = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with the code that each integration's last run stands for.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what each integration holds and owes.

    And what it did last and does next. Name integrations for their details.
    """
    fleet = invocation.of(context, json=json).fleet()
    names = invocation.selected(fleet, integration)
    known, holders = _known(fleet, names)
    now = datetime.now(UTC)
    documents = [_status_document(fleet, name, known.get(name), holders.get(name)) for name in names]
    codes = []
    for document in documents if integration else []:
        code = _add_lake(fleet, document)
        codes.append(code)
    if check:
        codes += [_checked(document) for document in documents]
    if json:
        render.emit_json({"integrations": documents})
    elif documents:
        _show_fleet(documents, known, now)
        for document in documents:
            if document.get("lake"):
                _show_lake(document["integration"], document["lake"], now)
    raise typer.Exit(worst(codes))


def _known(fleet: Fleet, names: Sequence[str]) -> tuple[dict[str, Integration], dict[str, Holder]]:
    """What the fleet knows of integrations, and who writes to them now."""
    from cloudsync_pipeline import wiring

    with wiring.open_control(fleet.settings) as control:
        known = {one.name: one for one in control.list() if one.name in names}
        found = {name: wiring.lock_holder(fleet.settings, name, control) for name in names}
    return known, {name: holder for name, holder in found.items() if holder is not None}


def _status_document(fleet: Fleet, name: str, known: Integration | None, holder: Holder | None) -> dict[str, Any]:
    error = fleet.errors.get(name)
    return {
        "integration": name,
        "configured": name in fleet.integrations,
        "state": known.state if known else "new",
        "last_run": None
        if known is None or known.last_run_id is None
        else {
            "run_id": known.last_run_id,
            "mode": known.last_mode,
            "verdict": known.last_verdict,
            "started_at": known.last_started_at,
            "finished_at": known.last_finished_at,
        },
        "next": None
        if known is None
        else {
            "incremental_at": known.next_incremental_at,
            "scan_at": known.next_scan_at,
            "put_off_until": known.put_off_until,
            "initial_done": known.initial_done,
        },
        "counts": None
        if known is None
        else {name: getattr(known, name) for name in ("objects", "files", "bytes", "owed", "quarantined", "held")},
        "holder": None if holder is None else render.as_json(holder),
        "lake": None,
        "error": failures.as_document(error) if error else None,
    }


def _add_lake(fleet: Fleet, document: dict[str, Any]) -> ExitCode:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.engine.status import status as lake_status

    if document["error"] is not None:
        error = fleet.errors[document["integration"]]
        failures.tell(error)
        return of_error(error)
    if not invocation.has_lake(fleet, document["integration"]):
        return ExitCode.OK
    try:
        with wiring.open_lake(fleet.settings, document["integration"], read_only=True) as lake:
            document["lake"] = render.as_json(lake_status(lake, document["integration"]))
            document["lake"]["quarantine"] = quarantine.documents(lake)
    except CloudSyncError as error:
        failures.tell(error)
        document["error"] = failures.as_document(error)
        return of_error(error)
    return ExitCode.OK


def _checked(document: dict[str, Any]) -> ExitCode:
    if document["error"] is not None:
        return ExitCode(document["error"]["exit_code"])
    if document["state"] in {"paused", "removed"} or document["last_run"] is None:
        return ExitCode.OK
    verdict = document["last_run"]["verdict"]
    return ExitCode.OK if verdict == "running" else of_verdict(verdict)


def _show_fleet(documents: Sequence[dict[str, Any]], known: dict[str, Integration], now: datetime) -> None:
    rows: list[tuple[object, ...]] = []
    for document in documents:
        name = document["integration"]
        one = known.get(name)
        if document["error"] is not None and one is None:
            rows.append((name, "error", None, None, None, None, None, None, document["error"]["message"]))
            continue
        if one is None:
            rows.append((name, "new", 0, 0, "0 B", 0, 0, None, None))
            continue
        last = None
        if one.last_verdict is not None:
            when = one.last_finished_at or one.last_started_at
            last = f"{one.last_mode} {one.last_verdict}" + (f", {render.ago(when, now)}" if when else "")
        note = document["error"]["message"] if document["error"] else one.reason or _held_by(document["holder"])
        rows.append(
            (name, one.state, one.objects, one.files, render.size(one.bytes), one.owed, one.quarantined, last, note)
        )
    columns = ("integration", "state", "objects", "files", "bytes", "owed", "quarantined", "last run", "note")
    render.table(columns, rows)


def _held_by(holder: dict[str, Any] | None) -> str | None:
    """Who writes to an integration now; or that who did is dead, and the next one takes over."""
    if holder is None:
        return None
    who = f"{holder['purpose']}, run {holder['run_id']}, process {holder['pid']} on {holder['host']}"
    return f"{who}, since {holder['since']}" if holder["alive"] else f"left behind: {who}"


def _show_lake(name: str, lake: dict[str, Any], now: datetime) -> None:
    scanned = datetime.fromisoformat(lake["scanned_at"]) if lake["scanned_at"] else None
    render.say()
    render.say(f"{name}: snapshot {lake['snapshot_id']:,}, schema version {lake['schema_version']}")
    render.say(f"  objects      {lake['objects']:,}, {render.size(lake['objects_bytes'])}")
    render.say(f"  files        {lake['files']:,}, {render.size(lake['files_bytes'])}")
    render.say(
        f"  owed         {lake['owed']:,}, of them quarantined {lake['quarantined']:,}; held deletes {lake['held']:,}"
    )
    render.say(f"  events       {lake['events']:,}")
    render.say(f"  last scan    {render.ago(scanned, now) if scanned else 'never'}")
    rows = [
        (run_id, mode, verdict, datetime.fromisoformat(at), render.duration(seconds) if seconds is not None else None)
        for run_id, mode, verdict, at, seconds in lake["last_runs"]
    ]
    if rows:
        render.table(("run", "mode", "verdict", "started", "took"), rows)
    quarantine.show(lake["quarantine"], lake["quarantined"])


def runs(
    context: typer.Context,
    integration: Integrations = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Show the newest runs."""
    from cloudsync_pipeline import wiring

    fleet = invocation.of(context, json=json).fleet()
    names = invocation.selected(fleet, integration) if integration else [None]
    with wiring.open_control(fleet.settings) as control:
        found = [result for name in names for result in control.results(name, limit=limit)]
    found.sort(key=lambda one: one.finished_at, reverse=True)
    del found[limit:]
    if json:
        render.emit_json({"runs": found})
        return
    if not found:
        render.say("no run has ended yet")
        return
    render.table(("finished", "integration", "mode", "verdict", "took", "run", "did"), [_run_row(one) for one in found])


def _run_row(one: RunResult) -> tuple[object, ...]:
    took = render.duration((one.finished_at - one.started_at).total_seconds())
    execution = one.results.get("execution") or {}
    did = one.results.get("error") or render.counted(execution.get("done") or {})
    return one.finished_at, one.integration, one.mode, one.verdict, took, one.run_id, did


def files(
    context: typer.Context,
    integration: Annotated[str, typer.Option("--integration", "-i", help="The integration.", metavar="NAME")],
    prefix: Annotated[str, typer.Option("--prefix", help="Only paths that begin with it.")] = "",
    objects: Annotated[
        bool, typer.Option("--objects", help="Show the storage's objects instead of the file manager's files.")
    ] = False,
    as_of: AsOf = None,
    after: Annotated[str | None, typer.Option("--after", help="Go on after this path.", metavar="PATH")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List an integration's files.

    Or its objects: by path, a page at a time, as they are or as they were.
    """
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.lake import history

    fleet = invocation.of(context, json=json).fleet()
    snapshot, time = parse_as_of(as_of)
    table = "objects" if objects else "files"
    key = "key" if objects else "path"
    fleet.integration(integration)
    with wiring.open_lake(fleet.settings, integration, read_only=True) as lake:
        version = lake.as_of(snapshot, time)
        batches = history.rows_as_of(lake, table, snapshot=version, prefix=prefix, after=after, rows=limit + 1)
        rows: list[dict[str, Any]] = []
        for batch in batches:
            rows += batch.slice(0, limit + 1 - len(rows)).to_pylist()
            if len(rows) > limit:
                break
    more = len(rows) > limit
    del rows[limit:]
    if json:
        next_after = rows[-1][key] if more else None
        document = {"integration": integration, "table": table, "snapshot_id": version, "rows": rows}
        render.emit_json({**document, "next_after": next_after})
        return
    if not rows:
        render.say("none")
        return
    _show_rows(rows, objects=objects)
    if more:
        render.say(f"there are more: go on with --after '{render.printable(rows[-1][key])}'")


def _show_rows(rows: Sequence[dict[str, Any]], *, objects: bool) -> None:
    if objects:
        render.table(
            ("key", "size", "etag", "last modified"),
            [(render.path(row["key"]), row["size"], row["etag"], row["last_modified"]) for row in rows],
        )
        return
    render.table(
        ("path", "size", "internal id", "permissions", "owner", "confirmed"),
        [
            (
                render.path(row["path"]),
                row["size"],
                row["internal_id"],
                row["permissions"],
                row["owner"],
                row["confirmed_at"],
            )
            for row in rows
        ],
    )
