"""Within a planning: what is to be sent, in which order; summed up, and stored with its numbers.

Operations are numbered from 0 on without gaps, by stage and then by path. They are never sorted all at once: each span
of paths of a stage is, and its numbers follow those of the span before.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudsync_pipeline.lake import buckets
from cloudsync_pipeline.lake.buckets import within
from cloudsync_pipeline.lake.lake import Connection

EXAMPLES = 20

_TO_SEND = """
CREATE OR REPLACE TEMP VIEW to_send AS
SELECT CASE WHEN path IN (SELECT path FROM obstacles) THEN {clearing} ELSE {content} + 1 END AS stage,
       kind, path, NULL AS new_path, file_size AS size, NULL AS etag, NULL AS version_id, NULL AS content_type,
       internal_id, file_kind AS fingerprint_kind, file_value AS fingerprint_value, reason,
       path IN (SELECT path FROM stopped) AS held,
       NULL AS permissions, NULL AS owner, NULL AS group_name
FROM due
WHERE kind = 'delete'
UNION ALL
SELECT l.stage, 'move', l.path, l.new_path, m.size, m.etag, m.version_id, m.content_type, m.internal_id,
       m.fingerprint_kind, m.fingerprint_value,
       CASE WHEN l.final THEN 'same content as ' || m.path ELSE 'makes room, on the way to ' || m.new_path END,
       false, NULL, NULL, NULL
FROM legs l JOIN moves m USING (number)
UNION ALL
SELECT {content}, kind, path, NULL, size, etag, version_id, content_type, internal_id,
       fingerprint_kind, fingerprint_value, reason, false, NULL, NULL, NULL
FROM due
WHERE kind IN ('create', 'update')
UNION ALL
SELECT {content} + 2, CASE WHEN wanted THEN 'set_permissions' ELSE 'read_permissions' END, path, NULL, NULL, NULL,
       NULL, NULL, internal_id, NULL, NULL,
       CASE WHEN wanted THEN 'permissions asked for' ELSE 'permissions unknown' END,
       false, permissions, owner, group_name
FROM permissions_due
WHERE {permissions}
  AND (stands OR arrives)
  AND NOT leaves
  AND owed_path NOT IN (SELECT path FROM permissions_paid)
  AND (wanted OR NOT known OR arrives)
UNION ALL
SELECT {content} + 2, 'read_permissions', path, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       'permissions unknown', false, NULL, NULL, NULL
FROM permissions_of_strangers
WHERE {permissions}
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be sent.

    Attributes:
        stages: operations of each stage, in the order of stages, with the held ones.
        by_kind: operations by kind, without the held ones.
        held: deletes that the guard holds.
        bytes: content to send.
        examples: up to `EXAMPLES` of (kind, path, new_path, reason, held).
    """

    stages: dict[int, int]
    by_kind: dict[str, int]
    held: int
    bytes: int
    examples: tuple[tuple[str, str, str | None, str, bool], ...]


def gather(connection: Connection, *, clearing: int, content: int, permissions: bool) -> Sending:
    """From `due`, `moves`, `legs`, `obstacles`, `stopped` and `permissions_due` (temporary tables of one planning) to
    the view `to_send`, and what it comes to. `stopped` are the deletes that the guard holds.

    Args:
        clearing: stage of deletes that make room.
        content: stage of creates and updates; other deletes and then permissions follow.
        permissions: the file manager has them.
    """
    connection.execute(
        _TO_SEND.format(clearing=int(clearing), content=int(content), permissions="true" if permissions else "false")
    )
    counted = connection.execute(
        """
        SELECT stage, kind, held, count(*),
               coalesce(sum(size) FILTER (WHERE kind IN ('create', 'update') AND NOT held), 0)::BIGINT
        FROM to_send GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    stages: dict[int, int] = {}
    by_kind: dict[str, int] = {}
    for stage, kind, held, count, _ in counted:
        stages[stage] = stages.get(stage, 0) + count
        if not held:
            by_kind[kind] = by_kind.get(kind, 0) + count
    # The inner choice keeps a few rows of each stage as it goes, where the outer one would sort all of them.
    examples = connection.execute(
        f"""
        SELECT kind, path, new_path, reason, held
        FROM (
            SELECT stage, kind, path, new_path, reason, held FROM to_send
            QUALIFY row_number() OVER (PARTITION BY stage, kind, held ORDER BY path) <= 4
        )
        QUALIFY row_number() OVER (PARTITION BY kind, held ORDER BY stage, path) <= 4
        ORDER BY stage, path LIMIT {EXAMPLES}
        """
    ).fetchall()
    return Sending(
        stages=stages,
        by_kind=dict(sorted(by_kind.items())),
        held=sum(count for _, _, held, count, _ in counted if held),
        bytes=sum(size for *_, size in counted),
        examples=tuple(map(tuple, examples)),
    )


def store(connection: Connection, plan_id: str, stages: dict[int, int]) -> None:
    """Put what the view `to_send` holds into `operations`.

    Args:
        stages: rows of each stage, in the order of stages, as `gather` tells them.
    """
    first = 0
    for stage, rows in stages.items():
        for span in buckets.spans(connection, f"(SELECT path FROM to_send WHERE stage = {stage})", rows):
            stored = connection.execute(
                f"""
                INSERT INTO operations (op_id, plan_id, seq, stage, kind, path, new_path, size, etag, version_id,
                                        content_type, internal_id, fingerprint_kind, fingerprint_value, reason, held,
                                        permissions, owner, group_name)
                SELECT $plan_id || '-' || seq, $plan_id, seq, stage, kind, path, new_path, size, etag, version_id,
                       content_type, internal_id, fingerprint_kind, fingerprint_value, reason, held,
                       permissions, owner, group_name
                FROM (
                    SELECT $first + row_number() OVER () - 1 AS seq, *
                    FROM (SELECT * FROM to_send WHERE stage = $stage AND {within("path")} ORDER BY path)
                )
                """,
                {"plan_id": plan_id, "first": first, "stage": stage, **span.ends},
            ).fetchone()
            first += stored[0] if stored else 0
