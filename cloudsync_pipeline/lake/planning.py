"""Plans: what is owed, classified and ordered by SQL, stored before anything of it is sent.

The plan of any sync joins `owed` with what is known of its paths, and nothing else: a full scan has put
its differences there. Only moves that stand in each other's way come to Python (`core.ordering`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from cloudsync_pipeline.core.guard import WINDOW, Judgement
from cloudsync_pipeline.core.ordering import Leg, Move, order_moves
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.observing import EQUAL, NOT_CONTENT
from cloudsync_pipeline.lake.scripts import run_script

CLEARING_STAGE = 0
"""Deletes that make room come first, then moves, then content, then the other deletes, then permissions."""
FIRST_MOVE_STAGE = 1

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What planning must know of the policy and of both ends.

    Attributes:
        keep_deleted: files whose object is gone stay.
        read_permissions: permissions of new files are to be learnt by an operation of their own.
        etag_may_be_md5, move, delete, permissions, folders_are_files, case_sensitive: as the ends declare.
    """

    keep_deleted: bool = False
    read_permissions: bool = True
    etag_may_be_md5: bool = False
    move: bool = True
    delete: bool = True
    permissions: bool = True
    folders_are_files: bool = True
    case_sensitive: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as made. `plan_id` is None for a dry run, which stored nothing.

    Attributes:
        by_kind: operations to send, by kind, without the held ones.
        held: deletes that the guard holds.
        bytes: content to send.
        paid: debts that turned out to be none.
        quarantined: owed paths that are quarantined and not due.
        waiting: owed paths left for later: not due, not observed yet, or blocked by a held delete.
        examples: up to `EXAMPLES` of (kind, path, new_path, reason, held).
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


def make(
    lake: Lake,
    run_id: str,
    *,
    plan_id: str,
    mode: str,
    rules: PlanRules,
    judge: Callable[[DeleteFacts], Judgement],
    now: datetime,
    dry_run: bool = False,
) -> Planned:
    """Plan everything that is owed, due and observed; commit the plan, and with it the debts that are none.

    Older open plans are closed as superseded. Nothing is committed for a dry run.
    """
    at_start = _files_at_window_start(lake, now)
    base = lake.current_snapshot()
    result: list[Planned] = []

    def work(connection: Connection) -> None:
        planned = _classify(connection, plan_id, rules, judge, at_start, now)
        if dry_run:
            result.append(replace(planned, plan_id=None))
            raise _DryRunOver
        _store(connection, run_id, plan_id, mode, base, planned, now)
        result.append(planned)

    try:
        lake.commit(work, run_id=run_id, step="plan", message=plan_id, unique=("owed", "plans"))
    except _DryRunOver:
        pass
    return result[-1]


class _DryRunOver(Exception):
    """Rolls back what a dry run computed."""


def _classify(
    connection: Connection,
    plan_id: str,
    rules: PlanRules,
    judge: Callable[[DeleteFacts], Judgement],
    at_start: int | None,
    now: datetime,
) -> Planned:
    may_be_md5 = "regexp_full_match(o.etag, '[0-9a-f]{32}')" if rules.etag_may_be_md5 else "false"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE due AS
        SELECT w.path, w.reason,
               CASE WHEN {EQUAL} THEN 'paid'
                    WHEN o.key IS NULL AND f.path IS NULL THEN 'paid'
                    WHEN o.key IS NULL AND {_sql(rules.keep_deleted or not rules.delete)} THEN 'paid'
                    WHEN o.key IS NULL THEN 'delete'
                    WHEN f.path IS NULL THEN 'create'
                    ELSE 'update' END AS kind,
               o.size, o.etag, o.version_id, o.content_type,
               CASE WHEN o.fingerprint_kind = '{NOT_CONTENT}' THEN NULL
                    WHEN o.fingerprint_kind IS NOT NULL THEN o.fingerprint_kind
                    WHEN {may_be_md5} THEN 'md5' END AS fingerprint_kind,
               CASE WHEN o.fingerprint_kind = '{NOT_CONTENT}' THEN NULL
                    WHEN o.fingerprint_kind IS NOT NULL THEN o.fingerprint_value
                    WHEN {may_be_md5} THEN o.etag END AS fingerprint_value,
               f.internal_id, f.size AS file_size, f.fingerprint_kind AS file_kind, f.fingerprint_value AS file_value
        FROM owed w
        LEFT JOIN objects o ON o.key = w.path
        LEFT JOIN files f ON f.path = w.path
        WHERE w.aspect = 'content' AND (w.next_try IS NULL OR w.next_try <= ?) AND w.observed_at >= w.touched_at
        """,
        [now],
    )
    _pair_moves(connection, possible=rules.move)
    facts = DeleteFacts(
        planned=_count(connection, "SELECT count(*) FROM due WHERE kind = 'delete'"),
        done_in_window=_count(
            connection,
            "SELECT count(*) FROM outcomes WHERE kind = 'delete' AND status = 'done' AND ended_at > ?",
            [now - WINDOW],
        ),
        files_at_start=0,
    )
    files_now = _count(connection, "SELECT count(*) FROM files")
    # A lake younger than the window had no files at its start: then those of now and those deleted since count.
    facts = replace(facts, files_at_start=at_start or files_now + facts.done_in_window)
    judgement = judge(facts)
    _find_obstacles(connection, rules)
    if judgement.held:
        # What a held delete stands in the way of would be refused: it waits with it.
        connection.execute("DELETE FROM due WHERE kind <> 'delete' AND path IN (SELECT blocked FROM obstacles)")
        connection.execute("DELETE FROM moves WHERE new_path IN (SELECT blocked FROM obstacles)")
    last_move_stage = _order(connection, plan_id, rules)
    run_script(
        connection,
        "plan_operations",
        {
            "plan_id": plan_id,
            "now": now,
            "held": judgement.held,
            "clearing": CLEARING_STAGE,
            "content": last_move_stage + 1,
            "permissions_possible": rules.permissions,
            "learn": rules.read_permissions and rules.permissions,
        },
    )
    return _summary(connection, plan_id, judgement, now)


def _pair_moves(connection: Connection, *, possible: bool) -> None:
    """Renames: content that leaves one path and is wanted at another, unmistakably. No byte travels for them."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE moves AS
        WITH leaving AS (
            SELECT file_kind, file_value, file_size, any_value(path) AS path, any_value(internal_id) AS internal_id
            FROM due
            WHERE kind IN ('delete', 'update') AND file_value IS NOT NULL AND file_size > 0 AND ?
            GROUP BY file_kind, file_value, file_size HAVING count(*) = 1
        ), wanted AS (
            SELECT d.fingerprint_kind, d.fingerprint_value, d.size, any_value(d.path) AS path,
                   any_value(d.etag) AS etag, any_value(d.version_id) AS version_id,
                   any_value(d.content_type) AS content_type
            FROM due d
            SEMI JOIN leaving l
                ON l.file_kind = d.fingerprint_kind AND l.file_value = d.fingerprint_value AND l.file_size = d.size
            WHERE d.kind IN ('create', 'update')
            GROUP BY d.fingerprint_kind, d.fingerprint_value, d.size HAVING count(*) = 1
        )
        SELECT row_number() OVER (ORDER BY l.path) AS number, l.path, w.path AS new_path, w.size, w.etag, w.version_id,
               w.content_type, l.internal_id, w.fingerprint_kind, w.fingerprint_value
        FROM leaving l JOIN wanted w
            ON l.file_kind = w.fingerprint_kind AND l.file_value = w.fingerprint_value AND l.file_size = w.size
        WHERE l.path <> w.path
        """,
        [possible],
    )
    connection.execute("DELETE FROM due WHERE path IN (SELECT new_path FROM moves)")
    connection.execute("DELETE FROM due WHERE kind = 'delete' AND path IN (SELECT path FROM moves)")
    # A file that moves away leaves its path free: what is wanted there is new.
    connection.execute("UPDATE due SET kind = 'create' WHERE kind = 'update' AND path IN (SELECT path FROM moves)")


def _above(column: str) -> str:
    """SQL that gives one row for each folder above the path in a column: `a/b/c` gives `a` and `a/b`."""
    parts = f"string_split({column}, '/')"
    return f"unnest(list_transform(range(1, len({parts})), i -> array_to_string({parts}[1:i], '/')))"


def _find_obstacles(connection: Connection, rules: PlanRules) -> None:
    """Deletes that have to come before something else: `obstacles(path, blocked)`."""
    connection.execute("CREATE OR REPLACE TEMP TABLE obstacles (path VARCHAR, blocked VARCHAR)")
    connection.execute(
        """
        CREATE OR REPLACE TEMP VIEW arriving AS
        SELECT path FROM due WHERE kind = 'create' UNION ALL SELECT new_path FROM moves
        """
    )
    if not rules.folders_are_files:
        above = _above("path")
        connection.execute(
            f"""
            INSERT INTO obstacles
            SELECT d.path, a.blocked
            FROM due d JOIN (SELECT path AS blocked, {above} AS folder FROM arriving) a ON a.folder = d.path
            WHERE d.kind = 'delete'
            UNION ALL
            SELECT d.path, a.path
            FROM (SELECT path, {above} AS folder FROM due WHERE kind = 'delete') d JOIN arriving a ON a.path = d.folder
            """
        )
    if not rules.case_sensitive:
        connection.execute(
            """
            INSERT INTO obstacles
            SELECT d.path, a.path FROM due d JOIN arriving a ON lower(a.path) = lower(d.path) AND a.path <> d.path
            WHERE d.kind = 'delete'
            """
        )


def _order(connection: Connection, plan_id: str, rules: PlanRules) -> int:
    """Turn `moves` into `legs` with stages; returns the last stage that a move may stand in."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE legs "
        "(number BIGINT, stage INTEGER, path VARCHAR, new_path VARCHAR, final BOOLEAN)"
    )
    entangled = _entangled(connection, rules)
    found = [Move(int(n), p, q) for n, p, q in entangled]
    legs: list[Leg] = order_moves(
        found, plan_id=plan_id, folders_are_files=rules.folders_are_files, case_sensitive=rules.case_sensitive
    )
    if legs:
        rows = pa.table(
            {
                "number": [leg.number for leg in legs],
                "stage": [FIRST_MOVE_STAGE + leg.stage for leg in legs],
                "path": [leg.path for leg in legs],
                "new_path": [leg.new_path for leg in legs],
                "final": [leg.final for leg in legs],
            }
        )
        connection.register("ordered_legs", rows)
        connection.execute("INSERT INTO legs SELECT number, stage, path, new_path, final FROM ordered_legs")
        connection.unregister("ordered_legs")
    connection.execute(
        f"INSERT INTO legs SELECT number, {FIRST_MOVE_STAGE}, path, new_path, true FROM moves "
        "WHERE number NOT IN (SELECT number FROM legs)"
    )
    return max((FIRST_MOVE_STAGE + leg.stage for leg in legs), default=FIRST_MOVE_STAGE)


def _entangled(connection: Connection, rules: PlanRules) -> list[tuple[int, str, str]]:
    """The moves whose target is, holds, or lies below what another move (or itself) takes away."""
    fold = "" if rules.case_sensitive else "lower"
    conditions = [
        f"SELECT m.number AS one, n.number AS other FROM moves m JOIN moves n ON {fold}(n.path) = {fold}(m.new_path)"
    ]
    if not rules.folders_are_files:
        for column, joined in (("new_path", "path"), ("path", "new_path")):
            above = _above(column)
            conditions.append(
                f"SELECT m.number AS one, n.number AS other FROM (SELECT number, {above} AS folder FROM moves) m "
                f"JOIN moves n ON {fold}(n.{joined}) = {fold}(m.folder)"
            )
    return connection.execute(
        "WITH pairs AS (" + " UNION ALL ".join(conditions) + "), numbers AS "
        "(SELECT one AS number FROM pairs UNION SELECT other FROM pairs) "
        "SELECT number, path, new_path FROM moves SEMI JOIN numbers USING (number) ORDER BY number"
    ).fetchall()


def _store(
    connection: Connection, run_id: str, plan_id: str, mode: str, base: int, planned: Planned, now: datetime
) -> None:
    supersede_plans(connection, now)
    connection.execute(
        """
        INSERT INTO operations (op_id, plan_id, seq, stage, kind, path, new_path, size, etag, version_id, content_type,
                                internal_id, fingerprint_kind, fingerprint_value, reason, held,
                                permissions, owner, group_name)
        SELECT ? || '-' || seq, ?, seq, stage, kind, path, new_path, size, etag, version_id, content_type,
               internal_id, fingerprint_kind, fingerprint_value, reason, held, permissions, owner, group_name
        FROM planned_operations ORDER BY seq
        """,
        [plan_id, plan_id],
    )
    connection.execute(
        "INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held, guard_reason) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [plan_id, run_id, now, mode, base, sum(planned.by_kind.values()), planned.held, planned.guard_reason],
    )
    connection.execute(
        "DELETE FROM owed WHERE aspect = 'content' AND path IN (SELECT path FROM due WHERE kind = 'paid')"
    )
    connection.execute("DELETE FROM owed WHERE aspect = 'permissions' AND path IN (SELECT path FROM permissions_paid)")
    connection.execute(
        """
        INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
        SELECT path, 'permissions', ?, ?, ?, 'new file', 0 FROM permissions_new
        """,
        [now, now, now],
    )


def _summary(connection: Connection, plan_id: str, judgement: Judgement, now: datetime) -> Planned:
    by_kind = dict(
        connection.execute(
            "SELECT kind, count(*) FROM planned_operations WHERE NOT held GROUP BY kind ORDER BY kind"
        ).fetchall()
    )
    held = _count(connection, "SELECT count(*) FROM planned_operations WHERE held")
    size = _count(
        connection,
        "SELECT coalesce(sum(size), 0)::BIGINT FROM planned_operations WHERE kind IN ('create', 'update') AND NOT held",
    )
    paid = _count(connection, "SELECT count(*) FROM due WHERE kind = 'paid'")
    quarantined = _count(
        connection,
        "SELECT count(DISTINCT path) FROM owed WHERE quarantined_at IS NOT NULL AND next_try > ?",
        [now],
    )
    waiting = _count(
        connection,
        """
        SELECT count(*) FROM owed WHERE aspect = 'content' AND quarantined_at IS NULL
           AND ((next_try IS NOT NULL AND next_try > ?) OR observed_at IS NULL OR observed_at < touched_at)
        """,
        [now],
    ) + _count(connection, "SELECT count(DISTINCT blocked) FROM obstacles WHERE ?", [judgement.held])
    examples = connection.execute(
        "SELECT kind, path, new_path, reason, held FROM planned_operations "
        f"QUALIFY row_number() OVER (PARTITION BY kind, held ORDER BY seq) <= 4 ORDER BY seq LIMIT {EXAMPLES}"
    ).fetchall()
    return Planned(
        plan_id, by_kind, held, judgement.reason, size, paid, quarantined, waiting, tuple(map(tuple, examples))
    )


def _files_at_window_start(lake: Lake, now: datetime) -> int | None:
    """Files at the start of the guard's window; None where the lake is younger or had none."""
    row = lake.one(
        "SELECT max(snapshot_id) FROM ducklake_snapshots('lake') WHERE snapshot_time <= ? AND schema_version > 0",
        [now - WINDOW],
    )
    if row is None or row[0] is None:
        return None
    return int(lake.scalar(f"SELECT count(*) FROM files AT (VERSION => {int(row[0])})") or 0) or None


def _sql(flag: bool) -> str:
    return "true" if flag else "false"


def _count(connection: Connection, query: str, params: list[object] | None = None) -> int:
    row = connection.execute(query, params or []).fetchone()
    return int(row[0]) if row else 0
