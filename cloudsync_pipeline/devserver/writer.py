"""The one thread that writes the index: changes that wait together are committed together.

A commit costs one fsync whatever it holds, so sixteen clients at once get sixteen acknowledgements for it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]
"""A change of the index; it may raise, and is then undone alone."""

_MAX_BATCH = 256


class _Job:
    __slots__ = ("change", "future", "loop", "outcome")

    def __init__(self, change: Change[Any]) -> None:
        self.change = change
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.outcome: tuple[Any, BaseException | None] = (None, None)

    def settle(self) -> None:
        if self.future.cancelled():
            return
        result, error = self.outcome
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class GroupWriter:
    """Runs changes in order, each acknowledged when the commit that holds it is done.

    Args:
        connect: opens the connection, in the writer's thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, change: Change[T]) -> T:
        """Do the change and wait until it is committed.

        Raises:
            sqlite3.Error: the commit failed, nothing was changed.
            Whatever the change raises.
        """
        job = _Job(change)
        self._queue.put(job)
        # A client that goes away must not undo what others were told of: the change itself goes on.
        result: T = await asyncio.shield(job.future)
        return result

    def close(self) -> None:
        """Finish what is queued and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = self._connect()
        try:
            while True:
                batch, last = self._take()
                if batch:
                    self._commit(connection, batch)
                if last:
                    return
        finally:
            connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) >= _MAX_BATCH:
                return batch, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._do(connection, job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.outcome = (None, error)
        batch[0].loop.call_soon_threadsafe(_settle, batch)

    @staticmethod
    def _do(connection: sqlite3.Connection, job: _Job) -> None:
        connection.execute("SAVEPOINT change")
        try:
            job.outcome = (job.change(connection), None)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked for the change
            connection.execute("ROLLBACK TO change")
            job.outcome = (None, error)
        connection.execute("RELEASE change")


def _settle(batch: list[_Job]) -> None:
    for job in batch:
        job.settle()
