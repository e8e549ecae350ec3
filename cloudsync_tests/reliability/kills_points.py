"""The points at which a sync can be killed, put around what the project calls: nothing of this stands in the product.

A point lies before and after everything that outlasts the process: each commit to the lake (before it: all its SQL
has run, and only the COMMIT is missing), each call that changes the file manager, each rename of a local file, the
listing's parts and its marker, each acknowledgement to the feed, the report, and each entry in the control database.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Points:
    """Counts the points that a process reaches.

    Args:
        trace: a file that each point's name is appended to.
        kill_at: the process ends by SIGKILL at this point; 0 is the first, None never.
        only: points whose name begins otherwise are not counted.
    """

    def __init__(self, trace: Path | None = None, kill_at: int | None = None, only: str = "") -> None:
        self._trace = trace
        self._kill_at = kill_at
        self._only = only
        self._reached = 0
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        if not name.startswith(self._only):
            return
        # Under the lock for good: nothing in another thread gets further than this point.
        with self._lock:
            number, self._reached = self._reached, self._reached + 1
            if self._trace is not None:
                with self._trace.open("a", encoding="utf-8") as file:
                    file.write(f"{name}\n")
            if number == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def arm(points: Points) -> None:
    """Put the points into this process."""
    _around_commits(points)
    _around_listings(points)
    _around_adapters(points)
    _around_local_files(points)
    _around_control(points)


def _around_commits(points: Points) -> None:
    from cloudsync_pipeline.lake import lake

    real = vars(lake)["commit"]

    @functools.wraps(real)
    def commit(connection: Any, work: Callable[[Any], Any], **more: Any) -> Any:
        name = f"commit {more['message'].split(':')[0]}"

        def last_of_all(inner: Any) -> Any:
            result = work(inner)
            points.reach(f"{name}, before")
            return result

        result = real(connection, last_of_all, **more)
        points.reach(f"{name}, after")
        return result

    vars(lake)["commit"] = commit


def _around_listings(points: Points) -> None:
    from cloudsync_pipeline.engine import staging

    _around_call(points, staging.Stage, "complete", "listing")

    real = staging.Stage.add

    @functools.wraps(real)
    async def add(self: staging.Stage, batch: Any) -> None:
        await real(self, batch)
        points.reach("listing, amid")

    staging.Stage.add = add  # type: ignore[method-assign]


def _around_adapters(points: Points) -> None:
    from cloudsync_pipeline.feeds.inbox import InboxFeed
    from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager
    from cloudsync_pipeline.file_managers.local import LocalFileManager

    for kind in (HttpApiFileManager, LocalFileManager):
        for method in ("put", "move", "delete", "set_permissions", "read_permissions", "flush", "report"):
            _around_call(points, kind, method, f"file manager {method}")
    # The HTTP feed has nothing to acknowledge.
    _around_call(points, InboxFeed, "acknowledge", "feed acknowledge")


def _around_local_files(points: Points) -> None:
    from cloudsync_pipeline.file_managers.local_index import Index
    from cloudsync_pipeline.file_managers.local_tree import Tree

    _before_and_after(points, Tree, "place", "local rename")
    _before_and_after(points, Index, "commit", "local index")


def _around_control(points: Points) -> None:
    from cloudsync_pipeline.control.control import Control

    _before_and_after(points, Control, "record_result", "control result")


def _before_and_after(points: Points, kind: type[Any], method: str, name: str) -> None:
    real = getattr(kind, method)

    @functools.wraps(real)
    def called(self: Any, *args: Any, **more: Any) -> Any:
        points.reach(f"{name}, before")
        result = real(self, *args, **more)
        points.reach(f"{name}, after")
        return result

    setattr(kind, method, called)


def _around_call(points: Points, kind: type[Any], method: str, name: str) -> None:
    real = getattr(kind, method)

    @functools.wraps(real)
    async def called(self: Any, *args: Any, **more: Any) -> Any:
        points.reach(f"{name}, before")
        result = await real(self, *args, **more)
        points.reach(f"{name}, after")
        return result

    setattr(kind, method, called)
