"""A real RabbitMQ: each test has queues of its own, and a way between that can be cut."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pika  # type: ignore[import-untyped]
import pytest

from cloudsync_pipeline.queue.broker import BrokerSettings

URL = "CLOUDSYNC_TEST_AMQP_URL"
SOON = 90.0


@dataclass
class Queues:
    """Two queues of one test, looked at by a connection beside the consumer's.

    Attributes:
        url: of the broker itself.
        name: of the queue of requests; that of the dead letters has `.dead` behind it.
    """

    url: str
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")

    @contextmanager
    def channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def settings(self, url: str | None = None, **changes: Any) -> BrokerSettings:
        values = {"name": self.name, "dead_letters": f"{self.name}.dead", **changes}
        return BrokerSettings(url=url or self.url, **values)

    def send(self, *bodies: str | bytes, **properties: Any) -> None:
        """Put messages into the queue; it must be there."""
        with self.channel() as channel:
            channel.confirm_delivery()
            for body in bodies:
                content = body.encode() if isinstance(body, str) else body
                told = pika.BasicProperties(delivery_mode=2, **properties)
                channel.basic_publish("", self.name, content, told, mandatory=True)

    def made(self) -> bool:
        """Whether the consumer has made the queue."""
        with self.channel() as channel, suppress(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare(self.name, passive=True)
            return True
        return False

    def left(self) -> int:
        """Messages that nobody holds."""
        with self.channel() as channel:
            return int(channel.queue_declare(self.name, passive=True).method.message_count)

    def dead(self) -> list[tuple[bytes, Any]]:
        """Body and properties of the dead letters, which this takes out."""
        found: list[tuple[bytes, Any]] = []
        with self.channel() as channel:
            while True:
                method, properties, body = channel.basic_get(f"{self.name}.dead", auto_ack=True)
                if method is None:
                    return found
                found.append((body, properties))

    def dead_in_time(self, count: int) -> list[tuple[bytes, Any]]:
        """So many dead letters, waited for."""
        found: list[tuple[bytes, Any]] = []

        def all_there() -> bool:
            found.extend(self.dead())
            return len(found) >= count

        until(all_there)
        return found

    def delete(self) -> None:
        with self.channel() as channel:
            for name in (self.name, f"{self.name}.dead"):
                channel.queue_delete(name)


@contextmanager
def queues() -> Iterator[Queues]:
    """Queues that nobody else has. Without a broker the test is skipped on a person's machine, and fails in CI."""
    url = os.environ.get(URL, "amqp://guest:guest@127.0.0.1:5672/")
    try:
        pika.BlockingConnection(pika.URLParameters(url)).close()
    except (pika.exceptions.AMQPError, OSError) as error:
        parts = urlsplit(url)
        reason = f"no RabbitMQ at {parts.hostname}:{parts.port} ({error!r}); {URL} may name one"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    ours = Queues(url)
    try:
        yield ours
    finally:
        ours.delete()


class Way:
    """A port of our own through which the broker is reached, until it is cut.

    Attributes:
        opened: connections that came so far.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._broker = (parts.hostname, parts.port or 5672)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self.opened = 0
        login = url.partition("://")[2].rpartition("@")[0]
        self.url = f"amqp://{login}@127.0.0.1:{self._listening.getsockname()[1]}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, as a router does that restarts."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for one in pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._broker)
            except OSError:
                return
            with self._lock:
                self._pairs += [near, far]
                self.opened += 1
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_RDWR)


def until(what: Callable[[], object], within: float = SOON) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
