"""Where a lake is kept: which catalog, where its Parquet files lie, and what is on this machine.

`Folder` is the embedded form, all of it in one folder. `cluster.Cluster` keeps catalog and files on servers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from duckdb import DuckDBPyConnection

from cloudsync_pipeline.lake.attach import attach


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file below a lake's data: its path there, its bytes, and when it was written (UTC)."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Removed:
    """Files that were removed, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.files + other.files, self.bytes + other.bytes)


class DataFiles(Protocol):
    """A lake's Parquet files, as something to look through and to clear up."""

    @property
    def address(self) -> str:
        """DuckLake's DATA_PATH: a folder or a URL, ending in "/"."""
        ...

    def list(self) -> Iterator[DataFile]:
        """Every Parquet file, in no order."""
        ...

    def remove(self, paths: Iterable[str]) -> Removed:
        """Remove files by their paths below `address`, or by whole addresses; those that are gone count as nothing."""
        ...


class Location(Protocol):
    """See the module's docstring."""

    @property
    def folder(self) -> Path:
        """A folder of the lake's own on this machine: listings on their way, and DuckDB's spill."""
        ...

    @property
    def files(self) -> DataFiles: ...

    @property
    def extensions(self) -> Sequence[str]:
        """The DuckDB extensions that it takes, in the order of loading."""
        ...

    def exists(self) -> bool:
        """Whether there is a lake.

        Raises:
            StateError: its catalog cannot be asked.
        """
        ...

    def attach(
        self, connection: DuckDBPyConnection, *, read_only: bool, integration: str, fence: int | None
    ) -> Callable[[], None]:
        """Attach the lake as the connection's default catalog, made if it is not there and may be written.

        Args:
            fence: the writer's number, which no smaller one may follow; None joins whoever writes.

        Returns:
            What is called before each use of the lake, so that keys which expire are renewed.

        Raises:
            StateError: the catalog is damaged, or cannot be reached.
            LockLost: a writer with a higher fence has opened it since.
        """
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """The embedded form: `catalog.sqlite` and `data/` below one folder. The OS lock keeps its writers apart."""

    folder: Path

    extensions = ("sqlite_scanner", "ducklake")

    @property
    def catalog(self) -> Path:
        """DuckLake's catalog, an SQLite file."""
        return self.folder / "catalog.sqlite"

    @property
    def files(self) -> FolderFiles:
        return FolderFiles(self.folder / "data")

    def exists(self) -> bool:
        return self.catalog.exists()

    def attach(
        self,
        connection: DuckDBPyConnection,
        *,
        read_only: bool,
        integration: str,
        fence: int | None,  # noqa: ARG002 - one machine: its OS lock cannot be taken over
    ) -> Callable[[], None]:
        if not read_only:
            self.files.folder.mkdir(parents=True, exist_ok=True)
        # SQLite's write-ahead log: a long read neither blocks a commit nor is blocked by one.
        journal = () if read_only else ("META_JOURNAL_MODE 'WAL'",)
        attach(
            connection,
            f"sqlite:{self.catalog}",
            self.files.address,
            read_only=read_only,
            integration=integration,
            options=("META_BUSY_TIMEOUT 10000", *journal),
        )
        return _nothing

    def __str__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """Parquet files in a folder of this machine."""

    folder: Path

    @property
    def address(self) -> str:
        return f"{self.folder}/"

    def list(self) -> Iterator[DataFile]:
        for entry in _parquet_files(self.folder):
            about = entry.stat(follow_symlinks=False)
            path = str(Path(entry.path).relative_to(self.folder))
            yield DataFile(path, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC))

    def remove(self, paths: Iterable[str]) -> Removed:
        removed = Removed()
        for path in paths:
            file = self.folder / path
            try:
                size = file.stat().st_size
                file.unlink()
            except FileNotFoundError:  # An earlier round was killed before it could note this one.
                continue
            removed += Removed(1, size)
        return removed


def _parquet_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _parquet_files(Path(entry.path))
            elif entry.name.endswith(".parquet"):
                yield entry


def _nothing() -> None:
    """Files on this machine take no keys."""
