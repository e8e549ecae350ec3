"""The index: which file stands at which path, in SQLite (WAL).

Reads run on a connection of their own and see what was committed; changes are functions for `GroupWriter`.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudsync_pipeline.devserver.answers import not_found
from cloudsync_pipeline.devserver.blobs import Blob

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path         TEXT PRIMARY KEY,
    internal_id  TEXT NOT NULL UNIQUE,
    blob_id      TEXT NOT NULL UNIQUE,
    size         INTEGER NOT NULL,
    md5          TEXT NOT NULL,
    file_type    TEXT,
    metadata     TEXT NOT NULL,
    permissions  TEXT NOT NULL,
    owner        TEXT NOT NULL,
    "group"      TEXT NOT NULL,
    saved_at     TEXT NOT NULL,
    last_updated TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, received_at TEXT NOT NULL, body TEXT NOT NULL);
"""

_COLUMNS = (
    'path, internal_id, blob_id, size, md5, file_type, metadata, permissions, owner, "group", saved_at, last_updated'
)
_SELECT = f"SELECT {_COLUMNS} FROM files"  # noqa: S608 - constants only
KEPT_ROWS = 10_000
"""Newest events and results kept; older ones go when new ones come."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, as the index has it."""

    path: str
    internal_id: str
    blob_id: str
    size: int
    md5: str
    file_type: str | None
    metadata: str
    permissions: str
    owner: str
    group: str
    saved_at: str
    last_updated: str

    def described(
        self, operation: str, status: str, *, path: str | None = None, new_path: str | None = None
    ) -> dict[str, Any]:
        """The answer of `POST /saveToDisk`, and more than it promises."""
        return {
            "internal_id": self.internal_id,
            "file_path": self.path if path is None else path,
            "operation": operation,
            "size": self.size,
            "saved_at": self.saved_at,
            "status": status,
            "new_path": new_path,
            "metadata": json.loads(self.metadata),
            "file_type": self.file_type,
            "content_md5": self.md5,
            **self.access(),
        }

    def access(self) -> dict[str, str]:
        return {
            "permissions": self.permissions,
            "owner": self.owner,
            "group": self.group,
            "last_updated": self.last_updated,
        }


@dataclass(frozen=True, slots=True)
class Put:
    """What a create or update stores. None keeps what an update finds, or means the default."""

    path: str
    blob: Blob
    file_type: str | None
    metadata: str | None
    at: str


def connect(path: Path, *, fsync: bool) -> sqlite3.Connection:
    """Open the index. FULL makes a commit durable before it returns; NORMAL leaves that to the next checkpoint."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    return connection


class Index:
    """Reads of the index, for one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, path: str) -> Entry | None:
        row = self._connection.execute(f"{_SELECT} WHERE path = ?", (path,)).fetchone()
        return Entry(*row) if row else None

    def page(self, prefix: str, after: str | None, limit: int) -> list[Entry]:
        """Files whose path begins with `prefix`, after the path `after`, in byte order of the paths."""
        entries: list[Entry] = []
        # Paths with a prefix stand together in byte order, so the first without it ends the page.
        start, start_past = (prefix, ">=") if after is None or after < prefix else (after, ">")
        rows = self._connection.execute(f"{_SELECT} WHERE path {start_past} ? ORDER BY path LIMIT ?", (start, limit))
        for row in rows:
            if not row[0].startswith(prefix):
                break
            entries.append(Entry(*row))
        return entries

    def blob_ids(self, first_digits: str) -> set[str]:
        rows = self._connection.execute(
            "SELECT blob_id FROM files WHERE blob_id >= ? AND blob_id < ?", (first_digits, first_digits + "g")
        )
        return {row[0] for row in rows}

    def newest_events(self, count: int) -> list[Any]:
        """The newest `count` events, oldest of them first."""
        rows = self._connection.execute("SELECT body FROM events ORDER BY id DESC LIMIT ?", (count,)).fetchall()
        return [json.loads(body) for (body,) in reversed(rows)]

    def results(self) -> Iterator[dict[str, Any]]:
        """Results reported, oldest first."""
        for received_at, body in self._connection.execute("SELECT received_at, body FROM results ORDER BY id"):
            yield {"received_at": received_at, "results": json.loads(body)}

    def totals(self) -> dict[str, int]:
        files, size = self._connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM files").fetchone()
        return {"files": files, "bytes": size, "events": self.count("events"), "results": self.count("results")}

    def count(self, table: str) -> int:
        found: int = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our names
        return found

    def close(self) -> None:
        self._connection.close()


# --- changes ------------------------------------------------------------------------------------


def entry_at(connection: sqlite3.Connection, path: str) -> Entry:
    """Raises Refusal (404)."""
    entry = Index(connection).find(path)
    if entry is None:
        raise not_found(path)
    return entry


def put(
    connection: sqlite3.Connection, new: Put, defaults: Sequence[str], *, must_exist: bool
) -> tuple[Entry, str | None]:
    """Point a path at new content; a file that was there keeps its id and permissions.

    Args:
        defaults: permissions, owner and group of a new file.

    Returns:
        The file, and the blob it no longer needs.

    Raises:
        Refusal: 404 if the file must exist and does not.
    """
    old = entry_at(connection, new.path) if must_exist else Index(connection).find(new.path)
    permissions, owner, group = (old.permissions, old.owner, old.group) if old else defaults
    entry = Entry(
        path=new.path,
        internal_id=old.internal_id if old else uuid.uuid4().hex,
        blob_id=new.blob.blob_id,
        size=new.blob.size,
        md5=new.blob.md5,
        file_type=new.file_type or (old.file_type if old else None),
        metadata=new.metadata or (old.metadata if old else "{}"),
        permissions=permissions,
        owner=owner,
        group=group,
        saved_at=new.at,
        last_updated=new.at,
    )
    _store(connection, entry)
    return entry, old.blob_id if old else None


def move(connection: sqlite3.Connection, path: str, new_path: str, at: str) -> tuple[Entry, str | None]:
    """Give a file another path; what stood there is replaced. Raises Refusal (404)."""
    entry = entry_at(connection, path)
    if path == new_path:
        return entry, None
    replaced = Index(connection).find(new_path)
    connection.execute("DELETE FROM files WHERE path = ?", (new_path,))
    connection.execute("UPDATE files SET path = ?, last_updated = ? WHERE path = ?", (new_path, at, path))
    return entry_at(connection, new_path), replaced.blob_id if replaced else None


def delete(connection: sqlite3.Connection, path: str) -> tuple[Entry, str | None]:
    """Raises Refusal (404)."""
    entry = entry_at(connection, path)
    connection.execute("DELETE FROM files WHERE path = ?", (path,))
    return entry, entry.blob_id


def set_access(
    connection: sqlite3.Connection, path: str, permissions: str | None, owner: str | None, group: str | None, at: str
) -> Entry:
    """Change what is not None. Raises Refusal (404)."""
    connection.execute(
        "UPDATE files SET permissions = coalesce(?, permissions), owner = coalesce(?, owner), "
        '"group" = coalesce(?, "group"), last_updated = ? WHERE path = ?',
        (permissions, owner, group, at, path),
    )
    return entry_at(connection, path)


def add_events(connection: sqlite3.Connection, events: Sequence[Any]) -> None:
    """Append to the feed; the oldest go once there are more than `KEPT_ROWS`."""
    connection.executemany("INSERT INTO events (body) VALUES (?)", ((json.dumps(event),) for event in events))
    connection.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (KEPT_ROWS,))


def clear_events(connection: sqlite3.Connection) -> int:
    """Empty the feed; returns how many events there were."""
    return connection.execute("DELETE FROM events").rowcount


def clear_results(connection: sqlite3.Connection) -> int:
    """Forget what was reported; returns how many reports there were."""
    return connection.execute("DELETE FROM results").rowcount


def add_result(connection: sqlite3.Connection, result: Any, at: str) -> None:
    """Keep what a sync reported, as long as it is among the newest `KEPT_ROWS`."""
    connection.execute("INSERT INTO results (received_at, body) VALUES (?, ?)", (at, json.dumps(result)))
    connection.execute("DELETE FROM results WHERE id <= (SELECT max(id) FROM results) - ?", (KEPT_ROWS,))


def _store(connection: sqlite3.Connection, entry: Entry) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            entry.path,
            entry.internal_id,
            entry.blob_id,
            entry.size,
            entry.md5,
            entry.file_type,
            entry.metadata,
            entry.permissions,
            entry.owner,
            entry.group,
            entry.saved_at,
            entry.last_updated,
        ),
    )
