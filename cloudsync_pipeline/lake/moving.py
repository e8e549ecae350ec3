"""Within a planning: which of what is due are moves, what stands in whose way, and in which stages that is undone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.ordering import Leg, Move, order_moves
from cloudsync_pipeline.lake import buckets
from cloudsync_pipeline.lake.lake import Connection
from cloudsync_pipeline.lake.rows import put_rows

_LEGS_FIELDS: list[pa.Field[Any]] = [
    pa.field("number", pa.int64()),
    pa.field("stage", pa.int32()),
    pa.field("path", pa.string()),
    pa.field("new_path", pa.string()),
    pa.field("final", pa.bool_()),
]
_LEGS = pa.schema(_LEGS_FIELDS)

FIRST_MOVE_STAGE = 1
"""Deletes that make room come first, in stage 0; then moves, then content, then the other deletes, then permissions."""

_LEAVES = "(kind IN ('delete', 'update') AND file_value IS NOT NULL AND file_size > 0)"
_LEFT = "hash(file_kind, file_value, file_size)"
_IS_WANTED = "(kind IN ('create', 'update') AND fingerprint_value IS NOT NULL)"
_WANTED = "hash(fingerprint_kind, fingerprint_value, size)"
"""Of rows of `due`, whether their file's content leaves their path, and whether their object's is wanted there."""


def pair_moves(connection: Connection, *, possible: bool, give_up_after: int) -> int:
    """Renames: content that leaves one path and is wanted at another, unmistakably. No byte travels for them.

    Makes `moves` and takes them out of `due`. A path that was refused, or failed so many times, is not moved
    again: what leaves is deleted and what is wanted is sent.

    Returns:
        How many there are.
    """
    twins = _find_twins(connection, possible=possible)
    into = "CREATE OR REPLACE TEMP TABLE pairs AS"
    # By what they hold, not by path: both ends of a move are in the same bucket.
    for mine in buckets.of(connection, twins):
        connection.execute(
            f"""
            {into}
            WITH movable AS (
                SELECT * FROM due
                WHERE $any AND attempts < $give_up AND last_error_kind IS DISTINCT FROM 'PathRejected'
                  AND (({_LEAVES} AND {_LEFT} IN (SELECT content FROM twins))
                       OR ({_IS_WANTED} AND {_WANTED} IN (SELECT content FROM twins)))
            ), leaving AS (
                SELECT file_kind, file_value, file_size, any_value(path) AS path, any_value(internal_id) AS internal_id
                FROM movable
                WHERE {_LEAVES} AND {mine.format("file_value")}
                GROUP BY file_kind, file_value, file_size HAVING count(*) = 1
            ), wanted AS (
                SELECT d.fingerprint_kind, d.fingerprint_value, d.size, any_value(d.path) AS path,
                       any_value(d.etag) AS etag, any_value(d.version_id) AS version_id,
                       any_value(d.content_type) AS content_type
                FROM movable d
                SEMI JOIN leaving l
                    ON l.file_kind = d.fingerprint_kind AND l.file_value = d.fingerprint_value AND l.file_size = d.size
                WHERE {_IS_WANTED} AND {mine.format("d.fingerprint_value")}
                GROUP BY d.fingerprint_kind, d.fingerprint_value, d.size HAVING count(*) = 1
            )
            SELECT l.path, w.path AS new_path, w.size, w.etag, w.version_id, w.content_type, l.internal_id,
                   w.fingerprint_kind, w.fingerprint_value
            FROM leaving l JOIN wanted w
                ON l.file_kind = w.fingerprint_kind AND l.file_value = w.fingerprint_value AND l.file_size = w.size
            WHERE l.path <> w.path
            """,
            {"any": twins > 0, "give_up": give_up_after},
        )
        into = "INSERT INTO pairs"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moves AS SELECT row_number() OVER (ORDER BY path) AS number, * FROM pairs"
    )
    found = connection.execute("SELECT count(*) FROM moves").fetchone()
    if found is None or found[0] == 0:
        return 0
    connection.execute("DELETE FROM due WHERE path IN (SELECT new_path FROM moves)")
    connection.execute("DELETE FROM due WHERE kind = 'delete' AND path IN (SELECT path FROM moves)")
    # A file that moves away leaves its path free: what is wanted there is new.
    connection.execute("UPDATE due SET kind = 'create' WHERE kind = 'update' AND path IN (SELECT path FROM moves)")
    return int(found[0])


def _find_twins(connection: Connection, *, possible: bool) -> int:
    """`twins(content)`: hashes of what leaves some path and is wanted at some path, which most contents are not.

    Returns:
        How many there are.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE twins AS
        SELECT {_LEFT} AS content FROM due WHERE ? AND {_LEAVES}
        INTERSECT
        SELECT {_WANTED} FROM due WHERE {_IS_WANTED}
        """,
        [possible],
    )
    found = connection.execute("SELECT count(*) FROM twins").fetchone()
    return int(found[0]) if found else 0


def _above(column: str) -> str:
    """SQL that gives one row for each folder above the path in a column: `a/b/c` gives `a` and `a/b`."""
    parts = f"string_split({column}, '/')"
    return f"unnest(list_transform(range(1, len({parts})), i -> array_to_string({parts}[1:i], '/')))"


def find_obstacles(connection: Connection, *, folders_are_files: bool, case_sensitive: bool) -> None:
    """Deletes that have to come before something else: `obstacles(path, blocked)`."""
    connection.execute("CREATE OR REPLACE TEMP TABLE obstacles (path VARCHAR, blocked VARCHAR)")
    if folders_are_files and case_sensitive:
        return
    connection.execute(
        """
        CREATE OR REPLACE TEMP VIEW arriving AS
        SELECT path FROM due WHERE kind = 'create' UNION ALL SELECT new_path FROM moves
        """
    )
    if not folders_are_files:
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
    if not case_sensitive:
        connection.execute(
            """
            INSERT INTO obstacles
            SELECT d.path, a.path FROM due d JOIN arriving a ON lower(a.path) = lower(d.path) AND a.path <> d.path
            WHERE d.kind = 'delete'
            """
        )


def let_blocked_wait(connection: Connection) -> None:
    """What a held delete (`stopped`) stands in the way of would be refused: it is left for later.

    So is whatever counts on a move that waits: what takes the place of its file.
    """
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE waiting AS
        WITH RECURSIVE stuck(path) AS (
            SELECT blocked FROM obstacles SEMI JOIN stopped ON stopped.path = obstacles.path
            UNION
            SELECT m.path FROM moves m JOIN stuck s ON m.new_path = s.path
        )
        SELECT path FROM stuck
        """
    )
    connection.execute("DELETE FROM due WHERE kind <> 'delete' AND path IN (SELECT path FROM waiting)")
    connection.execute("DELETE FROM moves WHERE new_path IN (SELECT path FROM waiting)")


def order(connection: Connection, plan_id: str, *, folders_are_files: bool, case_sensitive: bool) -> int:
    """Turn `moves` into `legs` with stages; returns the last stage that a move may stand in."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE legs "
        "(number BIGINT, stage INTEGER, path VARCHAR, new_path VARCHAR, final BOOLEAN)"
    )
    entangled = _entangled(connection, folders_are_files=folders_are_files, case_sensitive=case_sensitive)
    found = [Move(int(n), p, q) for n, p, q in entangled]
    legs: list[Leg] = order_moves(
        found, plan_id=plan_id, folders_are_files=folders_are_files, case_sensitive=case_sensitive
    )
    if legs:
        rows = [
            {
                "number": leg.number,
                "stage": FIRST_MOVE_STAGE + leg.stage,
                "path": leg.path,
                "new_path": leg.new_path,
                "final": leg.final,
            }
            for leg in legs
        ]
        put_rows(connection, "ordered_legs", _LEGS, rows)
        connection.execute("INSERT INTO legs SELECT number, stage, path, new_path, final FROM ordered_legs")
    connection.execute(
        f"INSERT INTO legs SELECT number, {FIRST_MOVE_STAGE}, path, new_path, true FROM moves "
        "WHERE number NOT IN (SELECT number FROM legs)"
    )
    return max((FIRST_MOVE_STAGE + leg.stage for leg in legs), default=FIRST_MOVE_STAGE)


def _entangled(connection: Connection, *, folders_are_files: bool, case_sensitive: bool) -> list[tuple[int, str, str]]:
    """The moves whose target is, holds, or lies below what another move (or itself) takes away."""
    fold = "" if case_sensitive else "lower"
    conditions = [
        f"SELECT m.number AS one, n.number AS other FROM moves m JOIN moves n ON {fold}(n.path) = {fold}(m.new_path)"
    ]
    if not folders_are_files:
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
