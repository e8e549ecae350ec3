"""Reads requests until it is told to stop: one thread keeps the connection alive, another one launches runs.

Launching takes seconds, and the connection must answer heartbeats meanwhile. Whatever happens to either, a
message is acknowledged only after its run is stored in Dagster, or the message itself among the dead letters.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cloudsync_pipeline import logs
from cloudsync_pipeline.core.errors import AccessDenied, CloudSyncError, ConfigError, RemoteError
from cloudsync_pipeline.queue.accepting import Accepted
from cloudsync_pipeline.queue.broker import Broker, BrokerSettings, Message, connected
from cloudsync_pipeline.queue.requests import Refused, SyncRequest, parse

log = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds between two attempts to connect, and to launch, at most."""
STOPS_WITHIN = 25.0
"""Seconds that a launch under way gets when it is told to stop."""
_LOOK = 1.0
_IDLE = 10.0


class Acceptor(Protocol):
    """See `accepting.Launching`."""

    def accept(self, request: SyncRequest, message_id: str | None = None) -> Accepted: ...
    def rest(self) -> None: ...


@dataclass(slots=True)
class _Item:
    """A message on the desk.

    Attributes:
        broker: the connection that it came by; an acknowledgement on another one would mean another message.
        not_before: on the monotonic clock, after a failure.
        refusal: why it cannot be granted, once that is known.
    """

    broker: Broker
    message: Message
    not_before: float = 0.0
    attempts: int = 0
    refusal: Refused | None = None


class Consumer:
    """Reads one queue; see the module's docstring.

    Args:
        settings: the broker and its queues.
        accept: makes runs of requests; called by one thread alone.
        stop: set it to end `run`.
        heartbeat: a file that is touched every few seconds while both threads live, for whoever watches.
    """

    def __init__(
        self, settings: BrokerSettings, accept: Acceptor, stop: threading.Event, *, heartbeat: Path | None = None
    ) -> None:
        self._settings = settings
        self._accept = accept
        self._stop = stop
        self._heartbeat = heartbeat
        self._worker = threading.Thread(target=self._work, name="requests", daemon=True)
        self._changed = threading.Condition()
        self._desk: list[_Item] = []
        self._at_work: _Item | None = None
        self._done: deque[_Item] = deque()
        self._broker: Broker | None = None
        self._closed = False

    def run(self) -> None:
        """Work until told to stop; then end the launch under way, and let go of everything else.

        Raises:
            ConfigError: pika is not installed, the settings cannot be used, or the heartbeat's file cannot be written.
            AccessDenied: the broker refuses us at the first connection; a later refusal is waited out.
        """
        # What it says of a connection that broke, it says in tracebacks; we say it in a sentence.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._worker.start()
        try:
            self._connect_until_stopped()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._worker.join(STOPS_WITHIN)

    def _beat(self) -> None:
        if self._heartbeat is not None and self._worker.is_alive():
            try:
                self._heartbeat.touch()
            except OSError as error:
                raise ConfigError(
                    f"The heartbeat's file {self._heartbeat} cannot be written: {error.strerror}.",
                    remedy="Name one in a folder that is there and that this process may write.",
                ) from error

    # --- the connection's thread ----------------------------------------------------------------

    def _connect_until_stopped(self) -> None:
        failures, known = 0, False
        while not self._stop.is_set():
            self._beat()
            try:
                with connected(self._settings) as broker:
                    log.info("reading requests from the queue %r", self._settings.name)
                    failures, known, self._broker = 0, True, broker
                    self._read(broker)
            except RemoteError as error:
                if isinstance(error, AccessDenied) and not known:
                    raise
                failures += 1
                wait = _backoff(failures)
                log.warning("%s Next try in %.0f s.", error, wait)
                self._stop.wait(wait)
            finally:
                # What is not acknowledged, the broker gives to the next connection, ours or another's.
                self._clear(None)

    def _read(self, broker: Broker) -> None:
        while not self._stop.is_set():
            for message in broker.receive(_LOOK):
                self._put(_Item(broker, message))
            self._settle(broker)
            self._beat()
        broker.stop_reading()
        self._clear(broker)
        until = time.monotonic() + STOPS_WITHIN
        while self._busy() and time.monotonic() < until:
            broker.receive(_LOOK)
        self._settle(broker)

    def _settle(self, broker: Broker) -> None:
        """Tell the broker what was decided. What breaks here comes again with the next connection."""
        while self._done:
            item = self._done.popleft()
            # What came by an earlier connection was given back with it.
            if item.broker is not broker:
                continue
            if item.refusal is None:
                broker.acknowledge(item.message)
            else:
                broker.bury(item.message, item.refusal)

    def _put(self, item: _Item) -> None:
        with self._changed:
            self._desk.append(item)
            self._changed.notify_all()

    def _clear(self, broker: Broker | None) -> None:
        with self._changed:
            self._broker = broker
            self._desk.clear()

    def _busy(self) -> bool:
        with self._changed:
            return self._at_work is not None

    # --- the launching thread -------------------------------------------------------------------

    def _work(self) -> None:
        while (item := self._next()) is not None:
            decided = self._decide(item)
            with self._changed:
                self._at_work = None
                if decided:
                    self._done.append(item)
                elif item.broker is self._broker and not self._stop.is_set():
                    self._desk.append(item)
            item.broker.wake()
        self._accept.rest()

    def _next(self) -> _Item | None:
        """What is due and has waited longest; None when all is over."""
        rested = False
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                due = next((item for item in self._desk if item.not_before <= now), None)
                if due is not None:
                    self._desk.remove(due)
                    self._at_work = due
                    return due
                soonest = min((item.not_before - now for item in self._desk), default=_IDLE)
                if not self._changed.wait(min(soonest, _IDLE)) and not self._desk and not rested:
                    self._accept.rest()
                    rested = True
        return None

    def _decide(self, item: _Item) -> bool:
        """Whether something became of a message; what that is stands in `item`."""
        try:
            request = parse(item.message.body)
        except Refused as error:
            return _refuse(item, error)
        with logs.about(integration=request.integration):
            try:
                accepted = self._accept.accept(request, item.message.message_id)
            except Refused as error:
                return _refuse(item, error)
            except CloudSyncError as error:
                log.warning("No launch: %s Next try in %.0f s.", error, self._postpone(item))
                return False
            # Dagster's storage, its code server, a defect: whatever it is, the request must not be lost over it.
            except Exception:
                log.exception("No launch. Next try in %.0f s.", self._postpone(item))
                return False
            with logs.about(integration=request.integration, run_id=accepted.run_id):
                text = "launched" if accepted.new else "asked for what a run does that is there already"
                log.info("%s sync %s", request.mode.value, text)
        return True

    def _postpone(self, item: _Item) -> float:
        """Seconds until it is tried again."""
        self._accept.rest()
        item.attempts += 1
        wait = _backoff(item.attempts)
        item.not_before = time.monotonic() + wait
        return wait


def _refuse(item: _Item, error: Refused) -> bool:
    log.warning("a request becomes a dead letter: %s", error)
    item.refusal = error
    return True


def _backoff(failures: int) -> float:
    return min(LONGEST_WAIT, 2.0 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)
