"""Plans: what is owed, classified and ordered by SQL, stored before anything of it is sent.

The plan of any sync joins `owed` with what is known of its paths, and nothing else: a full scan has put
its differences there. Only moves that stand in each other's way come to Python (`core.ordering`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cloudsync_pipeline.core.guard import WINDOW, Judgement
from cloudsync_pipeline.lake import approvals, due, moving, sending
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.observing import looked_through
from cloudsync_pipeline.lake.owed import DUE
from cloudsync_pipeline.lake.scripts import run_script
from cloudsync_pipeline.lake.sending import Sending

CLEARING_STAGE = 0
"""Deletes that make room; see `moving.FIRST_MOVE_STAGE` for what follows."""


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What planning must know of the policy and of both ends.

    Attributes:
        keep_deleted: files whose object is gone stay.
        read_permissions: permissions of new files are to be learnt by an operation of their own.
        move_attempts: a move that failed in so many runs is planned as a delete and a create from then on.
        etag_may_be_md5, move, delete, permissions, folders_are_files, case_sensitive: as the ends declare.
    """

    keep_deleted: bool = False
    read_permissions: bool = True
    move_attempts: int = 5
    etag_may_be_md5: bool = False
    move: bool = True
    delete: bool = True
    permissions: bool = True
    folders_are_files: bool = True
    case_sensitive: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as made. `plan_id` is None for a dry run; neither it nor a plan of nothing is stored.

    Attributes:
        by_kind: operations to send, by kind, without the held ones.
        held: deletes that the guard holds.
        bytes: content to send.
        paid: debts that turned out to be none.
        quarantined: owed paths that are quarantined and not due.
        waiting: owed paths left for later: not due, not observed yet, or blocked by a held delete.
        examples: up to `sending.EXAMPLES` of (kind, path, new_path, reason, held).
    """

    plan_id: str | None
    by_kind: dict[str, int]
    held: int
    guard_reason: str | None
    bytes: int
    paid: int
    quarantined: int
    waiting: int
    examples: tuple[tuple[str, str, str | None, str, bool], ...]


@dataclass(frozen=True, slots=True)
class DeleteFacts:
    """What the guard judges by, in numbers of files; see `core.guard.judge`."""

    planned: int
    done_in_window: int
    files_at_start: int
    files_now: int


def make(
    lake: Lake,
    run_id: str,
    *,
    plan_id: str,
    mode: str,
    rules: PlanRules,
    judge: Callable[[DeleteFacts], Judgement],
    now: datetime,
    sent_up_to: int | None = None,
    again: bool = False,
    dry_run: bool = False,
) -> Planned:
    """Plan everything that is owed, due and observed; commit the plan, and with it the debts that are none.

    Older open plans are closed as superseded. Nothing is committed for a dry run, and where nothing is due.

    Args:
        sent_up_to: the plan's operations up to this one may be sent as soon as it is committed.
        again: this run has sent a plan before; what failed in it is left to the next run.
    """
    outlook = _look_ahead(lake, now)
    if not outlook.due and (dry_run or not outlook.open_plans):
        return replace(outlook.nothing, plan_id=None if dry_run else plan_id)
    base = lake.current_snapshot()
    rows = looked_through(lake)
    result: list[Planned] = []

    def work(connection: Connection) -> None:
        with lake.looking_through(outlook.due):
            make_plan(connection)

    def make_plan(connection: Connection) -> None:
        spans = due.look_up(connection, now, failed_in=run_id if again else None)
        with lake.looking_through(rows):
            due.classify(
                connection,
                spans,
                keep_deleted=rules.keep_deleted,
                delete=rules.delete,
                etag_may_be_md5=rules.etag_may_be_md5,
            )
        planned, to_send = _arrange(connection, plan_id, rules, judge, now, outlook.nothing)
        if dry_run:
            result.append(replace(planned, plan_id=None))
            raise _DryRunOver
        _pay(connection, planned, now)
        supersede_plans(connection, now)
        if planned.by_kind or planned.held:
            sending.store(connection, plan_id, to_send.stages)
            _store(connection, run_id, plan_id, mode, base, planned, sent_up_to, now)
        result.append(planned)

    try:
        lake.commit(work, run_id=run_id, step="plan", message=plan_id, unique=("owed", "plans"), rows=outlook.due)
    except _DryRunOver:
        pass
    return result[-1]


class _DryRunOver(Exception):
    """Rolls back what a dry run computed."""


@dataclass(frozen=True, slots=True)
class _Outlook:
    """Whether there is anything to plan: debts that are due, plans that are open; and the plan of nothing."""

    due: int
    open_plans: int
    nothing: Planned


def _look_ahead(lake: Lake, now: datetime) -> _Outlook:
    row = lake.one(
        f"""
        SELECT count(*) FILTER (WHERE {DUE} AND (aspect = 'permissions' OR observed_at IS NOT NULL)),
               (SELECT count(*) FROM plans WHERE closed_at IS NULL),
               count(DISTINCT path) FILTER (WHERE quarantined_at IS NOT NULL AND NOT {DUE}),
               count(*) FILTER (WHERE aspect = 'content' AND quarantined_at IS NULL
                                AND (observed_at IS NULL OR NOT {DUE}))
        FROM owed
        """,
        {"now": now},
    ) or (0, 0, 0, 0)
    due, open_plans, quarantined, waiting = map(int, row)
    nothing = Planned(None, {}, 0, None, 0, 0, quarantined, waiting, ())
    return _Outlook(due, open_plans, nothing)


def _arrange(
    connection: Connection,
    plan_id: str,
    rules: PlanRules,
    judge: Callable[[DeleteFacts], Judgement],
    now: datetime,
    nothing: Planned,
) -> tuple[Planned, Sending]:
    """What is `due` into operations, in the order in which they are sent."""
    moving.pair_moves(connection, possible=rules.move, give_up_after=rules.move_attempts)
    if not rules.delete:
        connection.execute("UPDATE due SET kind = 'paid' WHERE kind = 'delete'")
    judgement = _judge_deletes(connection, judge, now)
    moving.find_obstacles(connection, folders_are_files=rules.folders_are_files, case_sensitive=rules.case_sensitive)
    approvals.stop_unapproved(connection, held=judgement.held)
    if judgement.held:
        moving.let_blocked_wait(connection)
    last_move_stage = moving.order(
        connection, plan_id, folders_are_files=rules.folders_are_files, case_sensitive=rules.case_sensitive
    )
    run_script(
        connection,
        "plan_permissions",
        {
            "possible": rules.permissions,
            "learn": rules.read_permissions and rules.permissions,
        },
    )
    to_send = sending.gather(
        connection, clearing=CLEARING_STAGE, content=last_move_stage + 1, permissions=rules.permissions
    )
    return _summary(connection, plan_id, judgement, to_send, nothing), to_send


def _judge_deletes(connection: Connection, judge: Callable[[DeleteFacts], Judgement], now: datetime) -> Judgement:
    planned = _count(connection, "SELECT count(*) FROM due WHERE kind = 'delete'")
    if planned == 0:
        return Judgement(held=False)
    done = _count(
        connection,
        "SELECT count(*) FROM outcomes WHERE kind = 'delete' AND status = 'done' AND ended_at > ?",
        [now - WINDOW],
    )
    files_now = _count(connection, "SELECT count(*) FROM files")
    # A lake younger than the window had no files at its start: then those of now and those deleted since count.
    at_start = _files_at_window_start(connection, now) or files_now + done
    return judge(DeleteFacts(planned, done, at_start, files_now))


def _store(
    connection: Connection,
    run_id: str,
    plan_id: str,
    mode: str,
    base: int,
    planned: Planned,
    sent_up_to: int | None,
    now: datetime,
) -> None:
    connection.execute(
        "INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held, guard_reason, "
        "dispatched_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            plan_id,
            run_id,
            now,
            mode,
            base,
            sum(planned.by_kind.values()),
            planned.held,
            planned.guard_reason,
            sent_up_to if planned.by_kind else None,
        ],
    )


def _pay(connection: Connection, planned: Planned, now: datetime) -> None:
    """Debts that turned out to be none are paid, and the permissions of new files are owed."""
    if planned.paid:
        connection.execute(
            "DELETE FROM owed WHERE aspect = 'content' AND path IN (SELECT path FROM due WHERE kind = 'paid')"
        )
    if _count(connection, "SELECT count(*) FROM permissions_paid"):
        connection.execute(
            "DELETE FROM owed WHERE aspect = 'permissions' AND path IN (SELECT path FROM permissions_paid)"
        )
    approvals.forget_paid(connection)
    if _count(connection, "SELECT count(*) FROM permissions_new"):
        connection.execute(
            """
            INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
            SELECT path, 'permissions', ?, ?, ?, 'new file', 0 FROM permissions_new
            """,
            [now, now, now],
        )


def _summary(connection: Connection, plan_id: str, judgement: Judgement, to_send: Sending, nothing: Planned) -> Planned:
    blocked = _count(connection, "SELECT count(DISTINCT blocked) FROM obstacles SEMI JOIN stopped USING (path)")
    return replace(
        nothing,
        plan_id=plan_id,
        by_kind=to_send.by_kind,
        held=to_send.held,
        guard_reason=judgement.reason if to_send.held else None,
        bytes=to_send.bytes,
        paid=_count(connection, "SELECT count(*) FROM due WHERE kind = 'paid'"),
        waiting=nothing.waiting + blocked,
        examples=to_send.examples,
    )


def _files_at_window_start(connection: Connection, now: datetime) -> int | None:
    """Files at the start of the guard's window; None where the lake is younger or had none."""
    found = _count(
        connection,
        "SELECT coalesce(max(snapshot_id), 0) FROM ducklake_snapshots('lake') "
        "WHERE snapshot_time <= ? AND schema_version > 0",
        [now - WINDOW],
    )
    if not found:
        return None
    return _count(connection, f"SELECT count(*) FROM files AT (VERSION => {found})") or None


def _count(connection: Connection, query: str, params: list[object] | None = None) -> int:
    row = connection.execute(query, params or []).fetchone()
    return int(row[0]) if row else 0
