"""The feeds of messages that the conformance suite runs over, and a queue of one's own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import sqlalchemy as sa
from botocore.config import Config

from cloudsync_pipeline.control import Control, Inbox, Notice
from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    ContainerNotFound,
    RemoteError,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.feeds.inbox import InboxFeed
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_pipeline.feeds.sqs import SqsFeed
from cloudsync_pipeline.feeds.sqs_client import SqsSettings
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.sigv4 import AwsCredentials
from cloudsync_tests.feeds.messages import BUCKET, announcement
from cloudsync_tests.feeds.strange_server import StrangeServer
from cloudsync_tests.servers import S3Server, unused_port

JSON = {"Content-Type": "application/x-amz-json-1.0"}
SCOPE = Scope(bucket=BUCKET)


class Queue:
    """A new, empty queue, seen from its other side."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.client: Any = boto3.client(
            "sqs",
            endpoint_url=server.endpoint,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=server.region,
            config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}, proxies={}),
        )
        self.url: str = self.client.create_queue(QueueName=f"q-{uuid.uuid4().hex[:16]}")["QueueUrl"]

    @property
    def arn(self) -> str:
        return self._attribute("QueueArn")

    @property
    def waiting(self) -> int:
        """Messages that can be received now."""
        return int(self._attribute("ApproximateNumberOfMessages"))

    @property
    def in_flight(self) -> int:
        """Messages that were received and neither deleted nor given back."""
        return int(self._attribute("ApproximateNumberOfMessagesNotVisible"))

    def _attribute(self, name: str) -> str:
        return str(self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name])

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def settings(self, **changes: Any) -> SqsSettings:
        """How to read it, without waiting."""
        settings = SqsSettings(
            queue_url=self.url,
            region=self.server.region,
            credentials=AwsCredentials(self.server.access_key, self.server.secret_key),
            wait=0,
            attempts=1,
            http=HttpSettings(connect_timeout=5, read_timeout=30, trust_env=False),
        )
        return replace(settings, **changes)

    def feed(self, scope: Scope = SCOPE, **changes: Any) -> SqsFeed:
        return SqsFeed(self.settings(**changes), scope)


class SqsHarness:
    """A queue of moto's, read in small pages."""

    failures: Sequence[type[RemoteError]] = (
        AccessDenied,
        ContainerNotFound,
        Unreachable,
        Unavailable,
        Throttled,
        BadAnswer,
    )

    def __init__(self, server: S3Server, strange: StrangeServer) -> None:
        self.queue = Queue(server)
        self.secrets: Sequence[str] = (server.secret_key,)
        self._strange = strange

    def open(self) -> SqsFeed:
        return self.queue.feed(page_size=25)

    def failing(self, error: type[RemoteError]) -> SqsFeed:
        if error is Unreachable:
            return self.queue.feed(queue_url=f"http://127.0.0.1:{unused_port()}/123456789012/queue")
        if error is ContainerNotFound:
            return self.queue.feed(queue_url=f"{self.queue.url}-of-nobody")
        refusals = {AccessDenied: "AccessDeniedException", Throttled: "RequestThrottled", Unavailable: "InternalError"}
        if error is BadAnswer:
            self._strange.answers(200, b"<html>a proxy's own page</html>", {"Content-Type": "text/html"})
        else:
            # Some refusals repeat what was signed.
            answer = {"__type": f"com.amazonaws.sqs#{refusals[error]}", "message": self.secrets[0]}
            self._strange.answers(500 if error is Unavailable else 400, json.dumps(answer).encode(), JSON)
        return self.queue.feed(queue_url=f"{self._strange.url}/123456789012/queue")

    def announce(
        self, kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
    ) -> None:
        self.queue.send(json.dumps(announcement(kind, key, new_key, permissions)))

    def announce_nonsense(self) -> None:
        self.queue.send("<html>no JSON</html>")


class InboxHarness:
    """The inbox of an integration `acme` in a control database.

    Args:
        url: of an empty database.
        folder: for a database that is broken.
    """

    failures: Sequence[type[RemoteError]] = (Unavailable,)
    secrets: Sequence[str] = ()

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._control = Control.open(url)
        self._control.ensure("acme")

    def close(self) -> None:
        self._control.close()

    def open(self) -> InboxFeed:
        return InboxFeed(lambda: Inbox.open(self._url), "acme", SCOPE)

    def failing(self, error: type[RemoteError]) -> InboxFeed:
        url = f"sqlite:///{self._folder}/broken.sqlite"
        Inbox.open(url).close()
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS inbox"))
        engine.dispose()
        feed = InboxFeed(lambda: Inbox.open(url), "acme", SCOPE)
        assert error is Unavailable
        return feed

    def announce(
        self, kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
    ) -> None:
        self._control.inbox.put("acme", [Notice(announcement(kind, key, new_key, permissions))])

    def announce_nonsense(self) -> None:
        self._control.inbox.put("acme", [Notice({"odd": True})])
