"""The feeds that the conformance suite runs over."""

from __future__ import annotations

from collections.abc import Sequence

from cloudsync_pipeline.core.errors import AccessDenied, BadAnswer, RemoteError, Throttled, Unavailable, Unreachable
from cloudsync_pipeline.core.events import Event, EventType, MalformedEvent, identity_of
from cloudsync_pipeline.core.faults import ALWAYS
from cloudsync_pipeline.core.keys import unescape
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.feeds.http import HttpFeed
from cloudsync_pipeline.feeds.memory import Delivery, MemoryFeed
from cloudsync_pipeline.transport.auth import BearerAuth
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.feeds.strange_server import StrangeServer
from cloudsync_tests.servers import unused_port

TOKEN = "t0ken-of-the-tests"
SETTINGS = HttpSettings(connect_timeout=5, read_timeout=10, trust_env=False)


class MemoryHarness:
    """A memory feed with faults injected."""

    failures: Sequence[type[RemoteError]] = (AccessDenied, Unreachable, Unavailable, Throttled, BadAnswer)
    secrets: Sequence[str] = ()

    def __init__(self, delivery: Delivery) -> None:
        self.feed = MemoryFeed(delivery)
        self._announced = 0

    def open(self) -> MemoryFeed:
        self.feed.faults.clear()
        return self.feed

    def failing(self, error: type[RemoteError]) -> MemoryFeed:
        self.feed.faults.clear()
        for operation in ("receive", "peek", "health"):
            self.feed.faults.add(operation, error("injected"), times=ALWAYS)
        return self.feed

    def announce(
        self, kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
    ) -> None:
        self._announced += 1
        entry = {"number": self._announced}
        self.feed.publish(Event(identity_of(entry), kind, key, new_key, permissions=permissions, raw=str(entry)))

    def announce_nonsense(self) -> None:
        self.feed.publish(MalformedEvent(identity_of({"odd": True}), "it makes no sense", '{"odd": true}'))


class HttpHarness:
    """The HTTP feed at a running devserver that asks for a token.

    Args:
        prefix: the destination prefix, or empty; event paths carry it.
        slash: what event paths begin with.
    """

    failures: Sequence[type[RemoteError]] = (AccessDenied, Unreachable, Unavailable, Throttled, BadAnswer)
    secrets: Sequence[str] = (TOKEN,)

    def __init__(self, server: DevServer, strange: StrangeServer, *, prefix: str, slash: str) -> None:
        self._server = server
        self._strange = strange
        self._prefix = prefix
        self._slash = slash
        server.call("DELETE", "/admin/events")

    def open(self) -> HttpFeed:
        return self._feed(self._server.url)

    def failing(self, error: type[RemoteError]) -> HttpFeed:
        if error is AccessDenied:
            return self._feed(self._server.url, token="another-token")
        if error is Unreachable:
            return self._feed(f"http://127.0.0.1:{unused_port()}")
        status = {Unavailable: 500, Throttled: 429, BadAnswer: 200}[error]
        self._strange.answers(status, b"<html>no JSON</html>")
        return self._feed(self._strange.url)

    def _feed(self, url: str, token: str = TOKEN) -> HttpFeed:
        return HttpFeed(url, destination_prefix=self._prefix, settings=SETTINGS, auth=BearerAuth(token))

    def announce(
        self, kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
    ) -> None:
        metadata = {}
        if permissions is not None:
            metadata = {
                "new_permissions": permissions.permissions,
                "owner": permissions.owner,
                "group": permissions.group,
            }
        self._server.publish(
            {
                "event_type": kind.value,
                "file_path": self.path(key),
                "new_path": None if new_key is None else self.path(new_key),
                "metadata": metadata,
            }
        )

    def announce_nonsense(self) -> None:
        self._server.publish({"event_type": "explode", "file_path": self.path("a")}, raw=True)

    def path(self, key: str) -> str:
        """A key as the feed's source spells it."""
        return self._slash + (f"{self._prefix}/" if self._prefix else "") + unescape(key)
