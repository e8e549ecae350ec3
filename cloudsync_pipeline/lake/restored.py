"""A lake that was restored from a backup: what it says of the file manager is older than the truth.

The restore leaves a mark in `meta`. Until a full scan has been held against what the file manager says of itself,
nothing is planned; then `adopt` takes the file manager's word for its files, in one commit that removes the mark.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import runs
from cloudsync_pipeline.lake.attach import literal
from cloudsync_pipeline.lake.feeding import supersede_plans
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.observing import EQUAL
from cloudsync_pipeline.lake.scripts import run_script
from cloudsync_pipeline.lake.verifying import Answers

META = "restored"
"""Name of the lake's note, as JSON."""
CLOCKS = timedelta(minutes=5)
"""How far the file manager's clock and ours may differ; a file saved so long before the backup is as it was then."""
DOUBTFUL = (
    "The state was restored from a backup that is older than this file, and no object has its name: whether a sync "
    "or a person put it there is not known. It stays; `cloudsync retry` lets the next sync delete it."
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What was restored: a backup made at `backup_at`, put into place at `restored_at`."""

    backup_at: datetime
    restored_at: datetime


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the file manager turned out to hold, in files.

    Attributes:
        as_known: those that are as the backup says.
        adopted: those that hold their object by now, so that nothing is sent.
        changed: those of other or unknown content; they are sent again.
        missing: those that the backup knows and the file manager does not.
        doubtful: those that were put or written over since, without an object; they are quarantined.
    """

    as_known: int = 0
    adopted: int = 0
    changed: int = 0
    missing: int = 0
    doubtful: int = 0


def mark(lake: Lake, run_id: str, *, backup_at: datetime, now: datetime) -> None:
    """Say that the lake was restored, and is to be verified."""
    text = json.dumps({"backup_at": backup_at.isoformat(), "restored_at": now.isoformat()})
    lake.commit(
        lambda connection: runs.set_meta(connection, META, text),
        run_id=run_id,
        step="restore",
        message=f"backup of {backup_at:%Y-%m-%d %H:%M} UTC",
        unique=("meta",),
    )


def read_mark(lake: Lake) -> Mark | None:
    """The mark; None where the lake was not restored, or is verified by now."""
    text = runs.get_meta(lake, META)
    if text is None:
        return None
    told = json.loads(text)
    return Mark(datetime.fromisoformat(told["backup_at"]), datetime.fromisoformat(told["restored_at"]))


def require_verified(lake: Lake) -> None:
    """Refuse to plan on what may be older than the truth.

    Raises:
        StateError: the lake was restored, and nobody has looked at the file manager since.
    """
    found = read_mark(lake)
    if found is not None:
        raise StateError(
            f"The state was restored from the backup of {found.backup_at:%Y-%m-%d %H:%M} UTC, and has not been held "
            "against the file manager yet; nothing can be planned before.",
            integration=lake.integration,
            remedy=f"Run a whole sync: cloudsync reconcile --integration {lake.integration}",
        )


def paths_to_ask(lake: Lake, *, after: str | None, limit: int) -> list[str]:
    """Paths that the file manager has to be asked about where it cannot list: of files, and of what is owed."""
    rows = lake.read(
        "SELECT path FROM (SELECT path FROM files UNION SELECT path FROM owed) "
        "WHERE $after IS NULL OR path > $after ORDER BY path LIMIT $limit",
        {"after": after, "limit": limit},
    )
    return [row[0] for row in rows]


def adopt(
    lake: Lake, run_id: str, answers: Answers, *, whole: bool, keep_deleted: bool, learn: bool, now: datetime
) -> Adopted:
    """Make `files` what the file manager says it holds, owe what then differs, and remove the mark.

    Args:
        answers: complete.
        whole: they are all that the file manager holds.
        keep_deleted: the policy keeps files whose object is gone, so these are no debt.
        learn: permissions that it did not tell are to be read.
    """
    found = read_mark(lake)
    if found is None:
        return Adopted()

    def work(connection: Connection) -> Adopted:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE seen AS SELECT * FROM read_parquet({literal(str(answers.file))}) "
            "QUALIFY row_number() OVER (PARTITION BY path) = 1"
        )
        if whole:
            connection.execute(
                "INSERT INTO seen (path, present) SELECT f.path, false FROM files f ANTI JOIN seen s ON s.path = f.path"
            )
        run_script(
            connection,
            "adopt_restored",
            {"before": found.backup_at - CLOCKS, "restored": found.restored_at, "learn": learn, "now": now},
        )
        _owe_differences(connection, keep_deleted=keep_deleted, now=now)
        _conclude(connection, now)
        return _counted(connection)

    return lake.commit(
        work, run_id=run_id, step="restore", message="the file manager as it is", unique=("files", "owed")
    )


def doubt_everything(lake: Lake, run_id: str, *, keep_deleted: bool, now: datetime) -> Adopted:
    """For a file manager that tells nothing: whatever it may hold is sent again, and the mark removed."""

    def work(connection: Connection) -> Adopted:
        connection.execute(
            "UPDATE files SET source_etag = NULL, source_version_id = NULL, fingerprint_kind = NULL, "
            "fingerprint_value = NULL, permissions_known = false"
        )
        _owe_differences(connection, keep_deleted=keep_deleted, now=now)
        _conclude(connection, now)
        row = connection.execute("SELECT count(*) FROM files").fetchone()
        return Adopted(changed=int(row[0]) if row else 0)

    return lake.commit(
        work, run_id=run_id, step="restore", message="the file manager tells nothing", unique=("owed", "files")
    )


def _owe_differences(connection: Connection, *, keep_deleted: bool, now: datetime) -> None:
    # The scan of this run has observed every object; what it found is good for these debts, too.
    connection.execute(
        f"""
        INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts)
        SELECT coalesce(o.key, f.path), 'content', $now, $now,
               (SELECT value::TIMESTAMPTZ FROM meta WHERE name = 'scanned_at'), 'restored', 0
        FROM objects o FULL JOIN files f ON f.path = o.key
        ANTI JOIN (SELECT path FROM owed WHERE aspect = 'content') w ON w.path = coalesce(o.key, f.path)
        WHERE NOT {EQUAL} AND NOT (o.key IS NULL AND $keep)
        """,
        {"now": now, "keep": keep_deleted},
    )


def _conclude(connection: Connection, now: datetime) -> None:
    connection.execute(
        """
        UPDATE owed SET quarantined_at = $now, next_try = 'infinity'::TIMESTAMPTZ, last_error = $why,
                        last_error_kind = 'Restored'
        WHERE aspect = 'content' AND path IN (SELECT path FROM files WHERE op_id = 'restored')
        """,
        {"now": now, "why": DOUBTFUL},
    )
    # An approval may have been used up since the backup.
    connection.execute("DELETE FROM approvals")
    connection.execute("DELETE FROM meta WHERE name = ?", [META])
    supersede_plans(connection, now)


def _counted(connection: Connection) -> Adopted:
    verdicts = dict(connection.execute("SELECT verdict, count(*) FROM judged GROUP BY verdict").fetchall())
    return Adopted(
        as_known=verdicts.get("same", 0),
        adopted=verdicts.get("object", 0),
        changed=verdicts.get("other", 0),
        missing=verdicts.get("missing", 0),
        doubtful=verdicts.get("doubtful", 0),
    )
