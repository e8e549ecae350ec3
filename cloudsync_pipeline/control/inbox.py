"""Events that storages and file managers send to us, kept until an integration's next sync takes them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from cloudsync_pipeline.control.database import Database, upsert
from cloudsync_pipeline.control.records import IntegrationState
from cloudsync_pipeline.control.tables import inbox, integrations
from cloudsync_pipeline.core.errors import ConfigError, Paused

_ROWS = 500
"""Rows of one statement: both databases limit the number of its values."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was sent to us.

    Attributes:
        body: a JSON value, or text that is none; `feeds.notifications` says what is understood.
        identity: what the sender calls it each time it sends it, where it does. Without one, equal bodies are one
            notice, but for an entry of the HTTP API's shape without a time: that may truly happen twice.
    """

    body: Any
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice as kept. `delivery` names it, and no other one of any inbox; `body` is JSON text."""

    id: int
    delivery: str
    body: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one integration's inbox: how many notices, and since when the first of them."""

    count: int
    since: datetime


class Inbox:
    """Notices for integrations; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Inbox:
        """Open the inbox of a control database; see `Database.open` for the URL and the errors."""
        return cls(Database.open(url))

    def close(self) -> None:
        """Release every connection; a second call does nothing."""
        self._database.close()

    def put(self, integration: str, notices: Iterable[Notice], *, now: datetime | None = None) -> int:
        """Keep notices for an integration; when this returns, they are stored.

        Args:
            integration: its name; a paused one gets its notices when it is resumed.
            notices: in the order in which they happened.
            now: aware; the present time unless told.

        Returns:
            How many were new. One that still waits is not stored a second time.

        Raises:
            ConfigError: there is no such integration.
            Paused: it was removed.
            StateError: nothing was stored; send it again.
        """
        at = now or datetime.now(UTC)
        rows = [
            {"integration": integration, "identity": identity, "received_at": at, "body": body}
            for identity, body in map(_kept, notices)
        ]
        with self._database.writing() as connection:
            _require(connection, integration)
            return sum(
                connection.execute(
                    upsert(connection, inbox).values(rows[start : start + _ROWS]).on_conflict_do_nothing()
                ).rowcount
                for start in range(0, len(rows), _ROWS)
            )

    def oldest(self, integration: str, limit: int) -> Sequence[Waiting]:
        """The notices that have waited longest, in the order in which they came."""
        query = (
            sa.select(inbox.c.id, inbox.c.received_at, inbox.c.body)
            .where(inbox.c.integration == integration)
            .order_by(inbox.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            # The time keeps ids apart that a database gives anew after it was restored from a backup.
            return [
                Waiting(row.id, f"{row.id}@{row.received_at.isoformat()}", row.body)
                for row in connection.execute(query)
            ]

    def backlogs(self) -> Mapping[str, Backlog]:
        """What waits, by integration; one for which nothing waits is not there."""
        query = sa.select(inbox.c.integration, sa.func.count(), sa.func.min(inbox.c.received_at)).group_by(
            inbox.c.integration
        )
        with self._database.reading() as connection:
            return {name: Backlog(count, since) for name, count, since in connection.execute(query)}

    def remove(self, integration: str, ids: Sequence[int]) -> None:
        """Forget notices that were dealt with; those that are gone already do not matter."""
        with self._database.writing() as connection:
            for start in range(0, len(ids), _ROWS):
                chosen = inbox.c.id.in_(ids[start : start + _ROWS])
                connection.execute(inbox.delete().where(inbox.c.integration == integration, chosen))


def _kept(notice: Notice) -> tuple[str, str]:
    """Identity and body as they are stored. Escaped JSON holds nothing that a database refuses."""
    body = json.dumps(notice.body)
    if notice.identity is not None:
        return hashlib.sha256(notice.identity.encode("utf-8", "surrogatepass")).hexdigest(), body
    may_repeat = isinstance(notice.body, dict) and "event_type" in notice.body and not notice.body.get("timestamp")
    canonical = json.dumps(notice.body, sort_keys=True)
    return uuid.uuid4().hex if may_repeat else hashlib.sha256(canonical.encode()).hexdigest(), body


def _require(connection: sa.Connection, integration: str) -> None:
    query = sa.select(integrations.c.state).where(integrations.c.name == integration)
    state = connection.execute(query).scalar()
    if state is None:
        raise ConfigError(
            "There is no such integration.",
            integration=integration,
            remedy="Send to the name of one that is configured.",
        )
    if state == IntegrationState.REMOVED.value:
        raise Paused("The integration was removed.", integration=integration, remedy="Add it again first.")
