"""What a folder cannot tell of its files: ids that outlive updates, digests, owners, metadata.

One SQLite file. Changes gather in one transaction and are committed at `commit`, so that many small files
cost one commit. The tree is the truth: a row describes the file of the same inode, size and modification time,
and losing the latest rows loses digests and metadata, never an id (see `local.LocalFileManager`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudsync_pipeline.core.errors import StateError, StorageFull, Unavailable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY,
    internal_id TEXT NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    md5 TEXT,
    owner TEXT,
    group_name TEXT,
    content_type TEXT,
    metadata TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_inode ON files (inode);
"""
_SELECT_PATH = """
SELECT path, internal_id, inode, size, mtime_ns, md5, owner, group_name, content_type, metadata
FROM files WHERE path = ?
"""
_SELECT_INODE = """
SELECT path, internal_id, inode, size, mtime_ns, md5, owner, group_name, content_type, metadata
FROM files WHERE inode = ? AND size = ? AND mtime_ns = ?
"""
_UPSERT = """
INSERT OR REPLACE INTO files
    (path, internal_id, inode, size, mtime_ns, md5, owner, group_name, content_type, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_CHANGES_A_COMMIT = 2000
"""Changes after which the transaction is committed though nobody asked, so that it stays small."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the index knows of one file.

    Attributes:
        path: bytes, relative to the destination prefix.
        inode, size, mtime_ns: of the file when the row was written.
        md5: hexadecimal, of the content that was written.
        metadata: JSON text of an object.
    """

    path: bytes
    internal_id: str
    inode: int
    size: int
    mtime_ns: int
    md5: str | None = None
    owner: str | None = None
    group: str | None = None
    content_type: str | None = None
    metadata: str = "{}"

    def describes(self, found: os.stat_result) -> bool:
        return (self.inode, self.size, self.mtime_ns) == (inode_of(found), found.st_size, found.st_mtime_ns)


def inode_of(found: os.stat_result) -> int:
    """The inode as SQLite can hold it: 64 bits, signed."""
    return found.st_ino - (1 << 64) if found.st_ino >= 1 << 63 else found.st_ino


class Index:
    """See the module's docstring. Used by several threads.

    Args:
        file: the database; made where it is missing.

    Raises:
        StateError: it is damaged or no database.
        StorageFull: no room for it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._changes = 0
        self._uncommitted: set[bytes] = set()
        with self._translated():
            self._db = sqlite3.connect(file, timeout=30.0, isolation_level=None, check_same_thread=False)
            # NORMAL: a commit survives the death of the process, and `syncfs` at each flush covers power failures.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)

    def get(self, path: bytes) -> Row | None:
        with self._translated(), self._lock:
            found = self._db.execute(_SELECT_PATH, (path,)).fetchone()
        return None if found is None else Row(*found)

    def describing(self, found: os.stat_result) -> list[Row]:
        """Rows written for this very file, under whatever path."""
        with self._translated(), self._lock:
            rows = self._db.execute(_SELECT_INODE, (inode_of(found), found.st_size, found.st_mtime_ns)).fetchall()
        return [Row(*row) for row in rows]

    def put(self, row: Row, *, instead_of: bytes | None = None) -> None:
        """Write a row, and drop the one of the path the file had before."""
        with self._changing(row.path):
            if instead_of is not None and instead_of != row.path:
                self._db.execute("DELETE FROM files WHERE path = ?", (instead_of,))
            self._db.execute(
                _UPSERT,
                (
                    row.path,
                    row.internal_id,
                    row.inode,
                    row.size,
                    row.mtime_ns,
                    row.md5,
                    row.owner,
                    row.group,
                    row.content_type,
                    row.metadata,
                ),
            )

    def settle(self, row: Row) -> None:
        """Make sure that a row is committed as it is: its file is about to become unrecognisable."""
        if row.path not in self._uncommitted and self.get(row.path) == row:
            return
        self.put(row)
        self.commit()

    def drop(self, path: bytes) -> None:
        with self._changing(path):
            self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def commit(self) -> None:
        with self._translated(), self._lock:
            self._commit()

    def close(self) -> None:
        with self._translated(), self._lock:
            self._commit()
            self._db.close()

    def _commit(self) -> None:
        if self._changes:
            self._db.execute("COMMIT")
            self._changes = 0
            self._uncommitted.clear()

    @contextmanager
    def _changing(self, path: bytes) -> Iterator[None]:
        with self._translated(), self._lock:
            if not self._changes:
                self._db.execute("BEGIN IMMEDIATE")
            self._changes += 1
            self._uncommitted.add(path)
            yield
            if self._changes >= _CHANGES_A_COMMIT:
                self._commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text or ("disk I/O" in text and _is_full(self._file.parent)):
                raise StorageFull(
                    f"The disk has no room left for the index {str(self._file)!r}.", remedy="Make room there."
                ) from error
            if "locked" in text:
                raise Unavailable(
                    f"The index {str(self._file)!r} is being written by another process.",
                    remedy="Let one process at a time write to this folder.",
                ) from error
            raise StateError(f"The index {str(self._file)!r} cannot be used: {text}.", remedy=_REMEDY) from error
        except sqlite3.DatabaseError as error:
            raise StateError(f"The index {str(self._file)!r} cannot be read: {error}.", remedy=_REMEDY) from error


def _is_full(folder: Path) -> bool:
    """SQLite calls it an I/O error where a full disk has no room for the files beside a database."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _NEEDS_BYTES


_NEEDS_BYTES = 256 * 1024
"""Less than this is too little for what SQLite keeps beside a database."""
_REMEDY = "Check the permissions; if it is damaged, move it away: files are kept, and get new ids."
