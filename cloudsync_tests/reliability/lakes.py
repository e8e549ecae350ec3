"""The lakes of the stories: each tells when it commits, and can be opened again after its process was killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from duckdb import DuckDBPyConnection

from cloudsync_pipeline.lake import Lake
from cloudsync_tests.quick_lake import QuickLake

T = TypeVar("T")


class Watched(Protocol):
    """What a story needs of its lake beyond what the engine does.

    Attributes:
        before_commit, after_commit: called with the commit's step; what they raise is raised by the commit.
    """

    before_commit: Callable[[str], None] | None
    after_commit: Callable[[str], None] | None

    def again(self) -> Self:
        """Open it as the next process does after this one died."""
        ...


class RealLake(Lake):
    """A lake of DuckLake's, watched."""

    before_commit: Callable[[str], None] | None = None
    after_commit: Callable[[str], None] | None = None

    def again(self) -> RealLake:
        self.close()
        return a_real_lake(self.folder)

    def commit(
        self,
        work: Callable[[DuckDBPyConnection], T],
        *,
        run_id: str,
        step: str,
        message: str = "",
        info: Mapping[str, Any] | None = None,
        unique: Sequence[str] = (),
        rows: int = 0,
    ) -> T:
        if self.before_commit is not None:
            self.before_commit(step)
        result = super().commit(work, run_id=run_id, step=step, message=message, info=info, unique=unique, rows=rows)
        if self.after_commit is not None:
            self.after_commit(step)
        return result


def a_real_lake(folder: Path) -> RealLake:
    """Opened, and made at first."""
    opened = RealLake.open(folder, integration="world", threads=1)
    assert isinstance(opened, RealLake)
    return opened


def a_quick_lake(folder: Path, clock: Callable[[], datetime]) -> QuickLake:
    """A new one, whose snapshots have times of this clock."""
    return QuickLake.made(folder, clock)
