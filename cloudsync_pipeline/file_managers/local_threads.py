"""Blocking calls in threads, in bunches.

A call that writes a small file is a dozen short system calls. With one thread switch a call, the switching
costs more than the writing: measured, 10,000 files of 8 KiB take 3 to 5 s with `run_in_executor` and 4 threads.
Here one thread works off whatever waits, and others join only while calls are slow (a network disk).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_BUNCH_SECONDS = 0.005
"""Seconds after which finished calls are answered though others still wait."""
_SLOW_SECONDS = 0.01
"""Seconds without a call being taken up after which another thread joins: the disk is being waited for."""

_Job = tuple["asyncio.Future[Any]", Callable[[], Any]]
_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Threads:
    """At most `count` threads for the blocking calls of one event loop."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._count = count
        self._waiting: deque[_Job] = deque()
        self._working = 0
        self._taken_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`; a cancelled caller waits until it has ended, because it may still use its file."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((done, work))
        with self._lock:
            first = self._working == 0
        if first:
            self._join(loop)
        elif self._watch is None:
            self._watch = loop.call_later(_SLOW_SECONDS, self._look, loop)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()
            raise

    def close(self) -> None:
        """Let running calls end; none may be started afterwards."""
        if self._watch is not None:
            self._watch.cancel()
        self._pool.shutdown(wait=False)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let another thread join if calls wait and none was taken up lately."""
        self._watch = None
        if self._waiting:
            if time.monotonic() - self._taken_at > _SLOW_SECONDS:
                self._join(loop)
            self._watch = loop.call_later(_SLOW_SECONDS, self._look, loop)

    def _join(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._working >= self._count:
                return
            self._working += 1
        self._pool.submit(self._work_off, loop)

    def _work_off(self, loop: asyncio.AbstractEventLoop) -> None:
        done: list[_Done] = []
        since = time.monotonic()
        while True:
            try:
                job = self._waiting.popleft()
            except IndexError:
                if done:
                    loop.call_soon_threadsafe(_answer, done)
                with self._lock:
                    # Under the lock: a caller either sees this thread gone, or left its job before this look.
                    if not self._waiting:
                        self._working -= 1
                        return
                done = []
                continue
            self._taken_at = time.monotonic()
            done.append(_outcome(job))
            now = time.monotonic()
            if now - since > _BUNCH_SECONDS:
                loop.call_soon_threadsafe(_answer, done)
                done, since = [], now


def _outcome(job: _Job) -> _Done:
    future, work = job
    try:
        return future, work(), None
    except BaseException as error:  # noqa: BLE001 -- it is handed to the caller, whatever it is
        return future, None, error


def _answer(done: list[_Done]) -> None:
    for future, result, error in done:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
