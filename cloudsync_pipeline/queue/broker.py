"""One connection to RabbitMQ: the queue that is read, and the one beside it for dead letters."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    ConfigError,
    RemoteError,
    Unavailable,
    Unreachable,
)

log = logging.getLogger(__name__)

HEARTBEAT = 30
"""Seconds, unless the address says otherwise (`?heartbeat=`)."""
_CONNECTING = 10
_BLOCKED = 60
_MOST_OF_A_REASON = 2000


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How the broker is reached, and which queues are ours.

    Attributes:
        url: amqp:// or amqps://, with user, password and virtual host; it is a secret.
        name: the queue of requests.
        dead_letters: the queue of those that were refused.
        kind: "classic" or "quorum", where the queues are not there yet.
        prefetch: messages held here at once, unacknowledged.
        ca_file: certificates to trust, for amqps.
    """

    url: str = field(repr=False)
    name: str = "sync_requests"
    dead_letters: str = "sync_requests.dead"
    kind: str = "classic"
    prefetch: int = 8
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits for its acknowledgement.

    Attributes:
        tag: names it on its connection.
        properties: as pika has them.
    """

    tag: int
    body: bytes
    properties: Any

    @property
    def message_id(self) -> str | None:
        """The sender's name for it, if it gave one."""
        return self.properties.message_id or None


class Broker:
    """An open connection. Its methods are called by the thread that opened it, but for `wake`.

    Every method raises `Unreachable` where the connection breaks, `AccessDenied` where the broker refuses.
    """

    def __init__(self, settings: BrokerSettings, connection: Any) -> None:
        self._settings = settings
        self._connection = connection
        self._messages: list[Message] = []
        self._reading = connection.channel()
        self._writing = connection.channel()
        # A dead letter is taken for stored when the broker says so.
        self._writing.confirm_delivery()
        self._exclusive = False
        self._tag: str | None = None

    def prepare(self) -> None:
        """Make the queues that are not there, and begin to read as the only one who does.

        Raises:
            Unavailable: somebody else reads the queue.
        """
        arguments = {"x-queue-type": self._settings.kind}
        self._declare(self._settings.dead_letters, arguments)
        # What the broker itself gives up on (a quorum queue's delivery limit) goes the same way as what we refuse.
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self._settings.dead_letters}
        ours = self._declare(self._settings.name, arguments | dead | {"x-single-active-consumer": True})
        # A queue that another program made may know nothing of a single consumer: then it is ours alone by its lock.
        self._exclusive = not ours
        self._reading.basic_qos(prefetch_count=self._settings.prefetch)
        try:
            self._tag = self._reading.basic_consume(
                self._settings.name, self._on_message, auto_ack=False, exclusive=self._exclusive
            )
        except _pika().exceptions.ChannelClosedByBroker as error:
            if error.reply_code == 403:
                raise Unavailable(
                    f"Another program reads the queue {self._settings.name!r}.", remedy="Only one may: end the other."
                ) from error
            raise

    def receive(self, seconds: float) -> list[Message]:
        """Messages that came; waits for so long at most, and answers the broker's heartbeats meanwhile.

        Raises:
            Unavailable: the queue was deleted.
        """
        self._connection.process_data_events(time_limit=seconds)
        if self._tag is not None and self._tag not in self._reading.consumer_tags:
            raise Unavailable(f"The queue {self._settings.name!r} was deleted, or its node went down.")
        messages, self._messages = self._messages, []
        return messages

    def wake(self) -> None:
        """Let `receive` return at once; from any thread. Does nothing where the connection is gone."""
        try:
            self._connection.add_callback_threadsafe(lambda: None)
        except _pika().exceptions.AMQPError:
            pass

    def acknowledge(self, message: Message) -> None:
        """The message is done."""
        self._reading.basic_ack(message.tag)

    def bury(self, message: Message, error: CloudSyncError) -> None:
        """Move a message to the dead letters, with the reason: it is stored there before it is acknowledged here."""
        pika, before = _pika(), message.properties
        headers = dict(before.headers or {}) | {
            "x-cloudsync-reason": str(error)[:_MOST_OF_A_REASON],
            "x-cloudsync-error": type(error).__name__,
            "x-cloudsync-queue": self._settings.name,
            "x-cloudsync-refused-at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # Not the sender's expiry, with which a dead letter would vanish, nor its user, as whom we may not send.
        properties = pika.BasicProperties(
            headers=headers,
            delivery_mode=pika.DeliveryMode.Persistent,
            content_type=before.content_type,
            content_encoding=before.content_encoding,
            correlation_id=before.correlation_id,
            message_id=before.message_id,
            timestamp=before.timestamp,
            type=before.type,
            app_id=before.app_id,
        )
        try:
            self._writing.basic_publish("", self._settings.dead_letters, message.body, properties, mandatory=True)
        except (pika.exceptions.UnroutableError, pika.exceptions.NackError) as refused:
            raise Unavailable(
                f"The broker did not store a dead letter in {self._settings.dead_letters!r}."
            ) from refused
        self.acknowledge(message)

    def stop_reading(self) -> None:
        """Take no further messages; what came and was not looked at goes back to the queue when this closes."""
        if self._tag is not None:
            tag, self._tag = self._tag, None
            self._reading.basic_cancel(tag)
        self._messages.clear()

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._messages.append(Message(method.delivery_tag, body, properties))

    def _declare(self, name: str, arguments: dict[str, Any]) -> bool:
        """Make a durable queue; False where there is one that was made otherwise, which is then used as it is."""
        try:
            self._reading.queue_declare(name, durable=True, arguments=arguments)
        except _pika().exceptions.ChannelClosedByBroker as error:
            if error.reply_code != 406:
                raise
            log.info("the queue %r was made by somebody else, and is used as it is: %s", name, error.reply_text)
            self._reading = self._connection.channel()
            self._reading.queue_declare(name, passive=True)
            return False
        return True


@contextmanager
def connected(settings: BrokerSettings) -> Iterator[Broker]:
    """A connection that is ready to read; closed at the end.

    Raises:
        ConfigError: pika is not installed, or the address or the file of certificates cannot be used.
        AccessDenied: the broker refuses us.
        Unreachable, Unavailable: there is no connection, it broke, or the queue cannot be read now.
    """
    pika = _pika()
    parameters = _parameters(pika, settings)
    connection = None
    try:
        connection = pika.BlockingConnection(parameters)
        broker = Broker(settings, connection)
        broker.prepare()
        yield broker
    except (pika.exceptions.AMQPError, OSError) as error:
        raise _translated(pika, error, f"{parameters.host}:{parameters.port}", settings) from error
    finally:
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except pika.exceptions.AMQPError as error:
                log.debug("the connection did not close in order: %r", error)


def _parameters(pika: ModuleType, settings: BrokerSettings) -> Any:
    try:
        parameters = pika.URLParameters(settings.url)
    # Its own error would quote the address, which holds a password.
    except (ValueError, TypeError, KeyError):
        raise ConfigError(
            "queue.url is no address of a broker.", remedy="Write it as amqp://user:password@host:5672/vhost."
        ) from None
    if "heartbeat=" not in settings.url:
        parameters.heartbeat = HEARTBEAT
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = _CONNECTING
    parameters.blocked_connection_timeout = _BLOCKED
    parameters.client_properties = {"connection_name": "cloudsync consume"}
    if settings.ca_file is not None and parameters.ssl_options is not None:
        try:
            context = ssl.create_default_context(cafile=str(settings.ca_file))
        except OSError as error:
            raise ConfigError(
                f"queue.ca_file: the file {settings.ca_file} cannot be used: {error.strerror or error}.",
                remedy="Name a file of PEM certificates.",
            ) from error
        parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    return parameters


def _translated(pika: ModuleType, error: BaseException, where: str, settings: BrokerSettings) -> RemoteError:
    known = pika.exceptions
    if isinstance(error, known.AuthenticationError | known.ProbableAuthenticationError):
        return AccessDenied(f"The broker at {where} does not accept this login.", remedy="Correct `queue.url`.")
    if isinstance(error, known.ProbableAccessDeniedError) or _code(error) == 530:
        return AccessDenied(
            f"The broker at {where} does not let this login into the virtual host.", remedy="Correct `queue.url`."
        )
    if _code(error) == 403:
        return AccessDenied(
            f"The broker at {where} does not let this login use the queue {settings.name!r} or "
            f"{settings.dead_letters!r}.",
            remedy="Give it the rights to configure, write and read both.",
        )
    return Unreachable(
        f"There is no connection with the broker at {where} ({_reason(error)}).",
        remedy="Check the address, and that it runs.",
    )


def _code(error: BaseException) -> int | None:
    return getattr(error, "reply_code", None)


def _reason(error: BaseException) -> str:
    while isinstance(error, ExceptionGroup) or (error.args and isinstance(error.args[0], BaseException)):
        error = error.exceptions[0] if isinstance(error, ExceptionGroup) else error.args[0]
    inner = getattr(error, "exception", None)
    return f"{type(error).__name__}: {inner or error}"[:300]


def _pika() -> ModuleType:
    try:
        import pika  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "The library that speaks with RabbitMQ is not installed.",
            remedy="Run: pip install 'cloudsync-pipeline[queue]'",
        ) from error
    return pika  # type: ignore[no-any-return]
