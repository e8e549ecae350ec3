"""The file manager as it says it is, held against `files`: what it no longer holds as confirmed is owed again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cloudsync_pipeline.core.records import FileState
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake

_SEEN_FIELDS: list[pa.Field[Any]] = [
    pa.field("path", pa.string()),
    pa.field("present", pa.bool_()),
    pa.field("internal_id", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("fingerprint_kind", pa.string()),
    pa.field("fingerprint_value", pa.string()),
    pa.field("permissions", pa.string()),
    pa.field("owner", pa.string()),
    pa.field("group_name", pa.string()),
    pa.field("saved_at", pa.timestamp("us", tz="UTC")),
]
_SEEN = pa.schema(_SEEN_FIELDS)


@dataclass(frozen=True, slots=True)
class Difference:
    """One path on which the file manager and the state disagree.

    Attributes:
        kind: "missing" (the file manager lost it), "content" (another size or digest), "permissions", "stray" (a file
            that no sync of this integration put there).
    """

    path: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Compared:
    """How the file manager and the state differ: paths by kind of difference, and some of them."""

    by_kind: dict[str, int]
    examples: tuple[Difference, ...]


class Answers:
    """What the file manager said of paths, written to a Parquet file as it comes; remove it with `close`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="verify-", suffix=".parquet", dir=folder)
        os.close(handle)
        self.file = Path(name)
        self._writer: pq.ParquetWriter | None = pq.ParquetWriter(self.file, _SEEN)
        self.count = 0

    def add(self, states: Sequence[tuple[str, FileState | None]]) -> None:
        """Add paths with what was said of them; None where nothing stands there."""
        if self._writer is None:
            raise ValueError("these answers are complete")
        self._writer.write_table(pa.Table.from_pylist([_row(path, state) for path, state in states], schema=_SEEN))
        self.count += len(states)

    def complete(self) -> None:
        """Everything was added; now they can be compared."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Remove the file."""
        self.complete()
        self.file.unlink(missing_ok=True)


def compare(lake: Lake, answers: Answers, *, whole: bool, examples: int = 20) -> Compared:
    """Hold complete answers against `files`. Reads only.

    Args:
        whole: the answers are all that the file manager holds, so that what is not in them is missing there, and
            what is not in `files` is a stray.
    """
    query = _compare(answers, whole)
    by_kind = dict(lake.read(f"SELECT kind, count(*) FROM ({query}) GROUP BY kind ORDER BY kind"))
    some = lake.read(f"SELECT path, kind, detail FROM ({query}) ORDER BY kind, path LIMIT {int(examples)}")
    return Compared({str(kind): int(count) for kind, count in by_kind.items()}, tuple(Difference(*one) for one in some))


def _compare(answers: Answers, whole: bool) -> str:
    return _COMPARE.format(seen=_seen(answers), whole="true" if whole else "false")


def _seen(answers: Answers) -> str:
    file = str(answers.file).replace("'", "''")
    return f"read_parquet('{file}')"


_COMPARE = """
WITH seen AS (SELECT * FROM {seen})
SELECT path, kind, detail FROM (
    SELECT f.path, 'missing' AS kind, 'the file manager has no such file' AS detail
    FROM files f LEFT JOIN seen s ON s.path = f.path
    WHERE (s.path IS NOT NULL AND NOT s.present) OR ({whole} AND s.path IS NULL)
    UNION ALL
    SELECT f.path, 'content', CASE WHEN s.size IS DISTINCT FROM f.size
        THEN 'size ' || coalesce(s.size::VARCHAR, 'unknown') || ' instead of ' || coalesce(f.size::VARCHAR, 'unknown')
        ELSE 'another ' || s.fingerprint_kind END
    FROM files f JOIN seen s ON s.path = f.path AND s.present
    WHERE (s.size IS NOT NULL AND f.size IS NOT NULL AND s.size <> f.size)
       OR (s.fingerprint_kind = f.fingerprint_kind AND s.fingerprint_value <> f.fingerprint_value)
    UNION ALL
    SELECT f.path, 'permissions', coalesce(s.permissions, '') || ' instead of ' || coalesce(f.permissions, '')
    FROM files f JOIN seen s ON s.path = f.path AND s.present
    WHERE f.permissions_known AND s.permissions IS NOT NULL AND f.permissions IS NOT NULL
      AND s.permissions <> f.permissions
    UNION ALL
    SELECT s.path, 'stray', 'no sync put it there'
    FROM seen s ANTI JOIN files f ON f.path = s.path
    WHERE s.present AND {whole} AND s.path NOT IN (SELECT path FROM owed)
)
"""


def owe(lake: Lake, run_id: str, answers: Answers, *, whole: bool, now: datetime) -> int:
    """Take back what is no longer true of the files, and owe it; strays are left alone. Returns how many paths.

    A lost file is forgotten; a file of other content has no known version any more, and the size that was told: where
    no object is left to make it good, it differs from then on from nothing. Other permissions are read again, or set
    where some are asked for.
    """

    def work(connection: Connection) -> int:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE drifted AS SELECT path, kind FROM ({_compare(answers, whole)}) "
            "WHERE kind <> 'stray'"
        )
        connection.execute("DELETE FROM files WHERE path IN (SELECT path FROM drifted WHERE kind = 'missing')")
        connection.execute(
            "UPDATE files SET source_etag = NULL, source_version_id = NULL, fingerprint_kind = NULL, "
            f"fingerprint_value = NULL, size = coalesce(s.size, files.size) FROM {_seen(answers)} s "
            "WHERE s.path = files.path AND files.path IN (SELECT path FROM drifted WHERE kind = 'content')"
        )
        connection.execute(
            "UPDATE files SET permissions_known = false, permissions = NULL, owner = NULL, group_name = NULL "
            "WHERE path IN (SELECT path FROM drifted WHERE kind = 'permissions')"
        )
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE drifted_debts AS
            SELECT DISTINCT path, CASE WHEN kind = 'permissions' THEN 'permissions' ELSE 'content' END AS aspect,
                   'verify: ' || kind AS reason
            FROM drifted
            WHERE kind = 'permissions' OR path IN (SELECT key FROM objects) OR path IN (SELECT path FROM files)
            """
        )
        connection.execute(
            """
            MERGE INTO owed USING drifted_debts d ON owed.path = d.path AND owed.aspect = d.aspect
            WHEN MATCHED THEN UPDATE SET touched_at = ?, next_try = NULL
            WHEN NOT MATCHED THEN INSERT (path, aspect, since, touched_at, reason, attempts)
                 VALUES (d.path, d.aspect, ?, ?, d.reason, 0)
            """,
            [now, now, now],
        )
        supersede_plans(connection, now)
        row = connection.execute("SELECT count(DISTINCT path) FROM drifted").fetchone()
        return int(row[0]) if row else 0

    return lake.commit(
        work, run_id=run_id, step="verify", message="what the file manager lost or changed", unique=("owed", "files")
    )


def paths(lake: Lake, *, after: str | None, limit: int) -> list[str]:
    """Paths of confirmed files, in order, from behind `after` on."""
    rows = lake.read(
        "SELECT path FROM files WHERE (? IS NULL OR path > ?) ORDER BY path LIMIT ?", [after, after, limit]
    )
    return [row[0] for row in rows]


def some_paths(lake: Lake, count: int) -> list[str]:
    """Paths of up to `count` confirmed files, at random."""
    return [row[0] for row in lake.read("SELECT path FROM files ORDER BY random() LIMIT ?", [count])]


def _row(path: str, state: FileState | None) -> dict[str, object]:
    if state is None:
        return {"path": path, "present": False}
    fingerprint = state.fingerprint
    return {
        "path": path,
        "present": True,
        "internal_id": state.internal_id,
        "size": state.size,
        "fingerprint_kind": fingerprint.kind if fingerprint else None,
        "fingerprint_value": fingerprint.value if fingerprint else None,
        "permissions": state.permissions.permissions,
        "owner": state.permissions.owner,
        "group_name": state.permissions.group,
        "saved_at": state.saved_at,
    }
