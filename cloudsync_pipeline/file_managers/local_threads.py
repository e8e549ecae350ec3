"""Blocking calls beside an event loop: in bunches in threads, or, while they are brief, in the loop itself.

A call that writes a small file is a dozen short system calls, and Python's lock changes hands at each of them where
another thread wants it too: measured, bringing 10,000 files of 8 KiB to a folder in memory takes 11 to 15 s of CPU with
that in a thread and 8 to 10 s without. So a brief call is made where it is asked for, as long as such calls stay
brief. While the disk is slow (it is on a network, or busy), and for whatever is long by its nature, one thread works
off what waits, and others join while it is waiting for the disk.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_BUNCH_SECONDS = 0.005
"""Seconds after which finished calls are answered though others still wait."""
_SLOW_SECONDS = 0.01
"""Seconds without a call being taken up after which another thread joins: the disk is being waited for."""
_IDLE_SECONDS = 1.0
"""Seconds without a call after which one that joined leaves."""

_BRIEF_SECONDS = 0.004
"""Seconds that brief calls may take on average; longer ones would keep the event loop from the network."""
_WEIGHT = 0.05
"""Of the last call in that average."""
_WARY_SECONDS = 1.0
"""Seconds for which calls go to threads after that, before one is tried in the event loop again."""

_Job = tuple["asyncio.Future[Any]", Callable[[], Any]]
_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Threads:
    """At most `count` threads for the blocking calls of one event loop.

    Args:
        clock: seconds, by which brief calls are timed.
    """

    def __init__(self, count: int, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = count
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._working = 0
        self._lock = threading.Lock()
        self._taken_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._average: float | None = None
        self._wary_until = 0.0

    async def brief(self, work: Callable[[], T]) -> T:
        """The result of `work()`, which is a few short system calls: at once, unless the disk is slow just now."""
        began = self._clock()
        if began < self._wary_until:
            return await self.run(work)
        self._check_open()
        try:
            return work()
        finally:
            ended = self._clock()
            spent = ended - began
            self._average = spent if self._average is None else self._average + _WEIGHT * (spent - self._average)
            if self._average > _BRIEF_SECONDS:
                self._average, self._wary_until = None, ended + _WARY_SECONDS

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`; a cancelled caller waits until it has ended, because it may still use its file."""
        self._check_open()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((done, work))
        if self._working == 0:
            self._join()
        elif self._watch is None:
            self._watch = loop.call_later(_SLOW_SECONDS, self._look, loop)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"the threads {self._name} are closed")

    def close(self) -> None:
        """Let running calls end; none may be started afterwards."""
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._jobs.put(None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let another thread join if calls wait and none was taken up lately."""
        self._watch = None
        if not self._jobs.empty():
            if time.monotonic() - self._taken_at > _SLOW_SECONDS and self._working < self._count:
                self._join()
            self._watch = loop.call_later(_SLOW_SECONDS, self._look, loop)

    def _join(self) -> None:
        with self._lock:
            self._working += 1
            stays = self._working == 1  # The first one does, so that no call is left to nobody.
            name = f"{self._name}_{self._working}"
        threading.Thread(target=self._work_off, args=(stays,), name=name, daemon=True).start()

    def _work_off(self, stays: bool) -> None:
        jobs = self._jobs
        done: list[_Done] = []
        since = 0.0
        while True:
            try:
                job = jobs.get(timeout=None if stays else _IDLE_SECONDS)
            except Empty:
                with self._lock:
                    self._working -= 1
                return
            if job is None:
                jobs.put(None)  # for the next thread
                return
            now = self._taken_at = time.monotonic()
            since = since if done else now
            done.append(_outcome(job))
            if jobs.empty() or time.monotonic() - since > _BUNCH_SECONDS:
                job[0].get_loop().call_soon_threadsafe(_answer, done)
                done = []


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
