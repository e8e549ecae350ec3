"""`plan show`, `plan approve`, `plan reject`, `retry` and `verify`: what a person decides or wants to know for sure."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudsync_pipeline.cli import interrupts, invocation, render
from cloudsync_pipeline.cli.exit_codes import ExitCode
from cloudsync_pipeline.cli.options import Json

if TYPE_CHECKING:
    from cloudsync_pipeline.config import Fleet

Name = Annotated[str, typer.Option("--integration", "-i", help="The integration.", metavar="NAME")]
Plan = Annotated[str | None, typer.Option("--plan", help="Which plan; by default the newest that holds deletes.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

SHOWN = 20
"""Held deletes that are shown before somebody is asked."""


def add_to(app: typer.Typer) -> None:
    """Register the commands that stand by themselves."""
    app.command(epilog='JSON: {"integration", "due"}.')(retry)
    app.command(
        epilog='JSON: {"integration", "looked_at", "whole", "by_kind", "examples", "owed", "seconds"}. '
        "Exits with 3 where something differs."
    )(verify)


def add_to_plan(group: typer.Typer) -> None:
    """Register the commands below `plan`."""
    group.command(epilog='JSON: {"integration", "plan_id", "held", "deletes": [{"path", "size", "reason"}]}.')(show)
    group.command(epilog='JSON: {"integration", "plan_id", "approved"}.')(approve)
    group.command(epilog='JSON: {"integration", "plan_id", "rejected"}.')(reject)


def show(
    context: typer.Context,
    integration: Name,
    plan: Plan = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """Show deletes that the guard holds."""
    fleet = invocation.of(context, json=json).fleet()
    plan_id, count, deletes = _held(fleet, integration, plan, limit)
    if json:
        listed = [{"path": one.path, "size": one.size, "reason": one.reason} for one in deletes]
        render.emit_json({"integration": integration, "plan_id": plan_id, "held": count, "deletes": listed})
        return
    _show_held(plan_id, count, deletes)


def approve(context: typer.Context, integration: Name, plan: Plan = None, yes: Yes = False, json: Json = False) -> None:
    """Approve held deletes.

    Exactly those that the plan holds now; the next sync sends them. A file that has changed since, or that is held
    anew, needs a new approval.
    """
    from cloudsync_pipeline.engine import decisions

    _decide(context, integration, plan, yes, json, decisions.approve, "approve", "approved")


def reject(context: typer.Context, integration: Name, plan: Plan = None, yes: Yes = False, json: Json = False) -> None:
    """Reject held deletes: the files stay.

    They are shown as quarantined until `cloudsync retry` asks for them again.
    """
    from cloudsync_pipeline.engine import decisions

    _decide(context, integration, plan, yes, json, decisions.reject, "reject", "rejected")


def retry(
    context: typer.Context,
    integration: Name,
    path: Annotated[
        list[str] | None, typer.Option("--path", help="A path; again for several. Default: all in quarantine.")
    ] = None,
    json: Json = False,
) -> None:
    """Try quarantined paths again.

    At the next sync, their failures forgotten.
    """
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.engine import decisions

    fleet = invocation.of(context, json=json).fleet()
    fleet.integration(integration)
    _require_lake(fleet, integration)
    run_id = new_run_id()
    with wiring.open_lake(fleet.settings, integration, run_id=run_id, purpose="retry") as lake:
        due = decisions.retry(lake, run_id=run_id, paths=path or None)
    if json:
        render.emit_json({"integration": integration, "due": due})
    else:
        render.say(f"{integration}: {due:,} paths are due at the next sync")


def verify(
    context: typer.Context,
    integration: Name,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="So many files at random; by default all.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Let the next sync make good what differs.")] = False,
    json: Json = False,
) -> None:
    """Compare the file manager with stored state.

    What the file manager lost, holds otherwise, or holds besides is shown.
    """
    fleet = invocation.of(context, json=json).fleet()
    fleet.integration(integration)
    found = interrupts.run(_verify(fleet, integration, sample, repair=repair))
    if json:
        render.emit_json({"integration": integration, **render.as_json(found)})
    else:
        what = render.counted(found.by_kind)
        render.say(f"{integration}: {found.looked_at:,} files looked at; differences: {what}")
        if found.examples:
            rows = [(render.path(one.path), one.kind, one.detail) for one in found.examples]
            render.table(("path", "kind", "detail"), rows)
        if found.owed:
            render.say(f"{found.owed:,} paths are owed; the next sync makes them good")
    raise typer.Exit(ExitCode.PARTIAL if found.differences else ExitCode.OK)


async def _verify(fleet: Fleet, name: str, sample: int | None, *, repair: bool) -> Any:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id
    from cloudsync_pipeline.engine.verify import verify as compare

    run_id = new_run_id()
    async with wiring.open_session(fleet, name, run_id=run_id, purpose="verify", even_if_paused=True) as session:
        return await compare(session, run_id=run_id, sample=sample, repair=repair)


def _held(fleet: Fleet, name: str, plan: str | None, limit: int) -> tuple[str, int, Sequence[Any]]:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.engine.decisions import plan_in_question
    from cloudsync_pipeline.lake import approvals

    fleet.integration(name)
    with wiring.open_lake(fleet.settings, name, read_only=True) as lake:
        plan_id = plan_in_question(lake, plan)
        return plan_id, approvals.count_held(lake, plan_id), approvals.held(lake, plan_id, limit=limit)


def _show_held(plan_id: str, count: int, deletes: Sequence[Any]) -> None:
    render.say(f"plan {plan_id} holds {count:,} deletes")
    if deletes:
        render.table(("path", "size", "reason"), [(render.path(one.path), one.size, one.reason) for one in deletes])
    if count > len(deletes):
        render.say(f"... and {count - len(deletes):,} more")


def _decide(
    context: typer.Context,
    name: str,
    plan: str | None,
    yes: bool,
    json: bool,
    decide: Callable[..., int],
    verb: str,
    done: str,
) -> None:
    from cloudsync_pipeline import wiring
    from cloudsync_pipeline.cli.syncing import new_run_id

    fleet = invocation.of(context, json=json).fleet()
    # The plan that is shown is the one that is decided on, whatever another run plans meanwhile.
    plan_id, count, deletes = _held(fleet, name, plan, SHOWN)
    if not yes:
        _show_held(plan_id, count, deletes)
        if not typer.confirm(f"{verb} these {count:,} deletes?", err=True):
            raise typer.Exit(ExitCode.HELD)
    run_id = new_run_id()
    with wiring.open_lake(fleet.settings, name, run_id=run_id, purpose=verb) as lake:
        decided = decide(lake, run_id=run_id, plan_id=plan_id, by=getpass.getuser(), now=datetime.now(UTC))
    if json:
        render.emit_json({"integration": name, "plan_id": plan_id, done: decided})
    else:
        render.say(f"{name}: {decided:,} deletes {done}")


def _require_lake(fleet: Fleet, name: str) -> None:
    """Opening a lake for writing would make one, where there is nothing to decide on."""
    from cloudsync_pipeline import wiring

    with wiring.open_lake(fleet.settings, name, read_only=True):
        pass
