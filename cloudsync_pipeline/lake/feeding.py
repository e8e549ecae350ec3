"""Events into the lake: deduplicated, and their paths owed, in one commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from cloudsync_pipeline.core.events import Event, EventType, FeedPage, MalformedEvent, is_older
from cloudsync_pipeline.lake import runs
from cloudsync_pipeline.lake.lake import Connection, Lake
from cloudsync_pipeline.lake.rows import as_list, put_rows

_EVENTS_FIELDS: list[pa.Field[Any]] = [
    pa.field("identity", pa.string()),
    pa.field("event_type", pa.string()),
    pa.field("key", pa.string()),
    pa.field("new_key", pa.string()),
    pa.field("also", pa.list_(pa.string())),
    pa.field("occurred_at", pa.timestamp("us", tz="UTC")),
    pa.field("sequencer", pa.string()),
    pa.field("version_id", pa.string()),
    pa.field("etag", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("permissions", pa.string()),
    pa.field("owner", pa.string()),
    pa.field("group_name", pa.string()),
    pa.field("raw", pa.string()),
    pa.field("malformed_reason", pa.string()),
    pa.field("position", pa.int64()),
]
_EVENTS = pa.schema(_EVENTS_FIELDS)
_OWED_FIELDS: list[pa.Field[Any]] = [
    pa.field("identity", pa.string()),
    pa.field("path", pa.string()),
    pa.field("aspect", pa.string()),
    pa.field("reason", pa.string()),
    pa.field("hint", pa.string()),
    pa.field("position", pa.int64()),
]
_OWED = pa.schema(_OWED_FIELDS)
_IDENTITIES_FIELDS: list[pa.Field[Any]] = [pa.field("identity", pa.string())]
_IDENTITIES = pa.schema(_IDENTITIES_FIELDS)


LATE = timedelta(days=1)
"""How far back a newer event of the same key is looked for; reading more of them would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What of a page was new. `known` counts entries that had been recorded before, malformed ones included."""

    new: int
    malformed: int
    known: int
    by_type: dict[str, int]


CURSOR = "feed_cursor"
"""Name of the lake's note of how far its feed was read."""


def record_page(lake: Lake, run_id: str, page: FeedPage, now: datetime, *, cursor: str | None = None) -> Recorded:
    """Commit the entries of a page that are not known yet, and the paths that they make owed.

    A page in which nothing is new commits nothing.

    Args:
        cursor: how far the feed is read with this page, where that has changed; noted in the same commit.
    """
    identities = list(
        dict.fromkeys([*(e.identity for e in page.events), *(m.identity for m in page.malformed), *page.others])
    )
    if not identities and cursor is None:
        return Recorded(0, 0, 0, {})
    known = {
        row[0]
        for row in lake.read(
            "SELECT identity FROM event_identities WHERE identity IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]')))",
            [as_list(identities)],
        )
    }
    fresh: dict[str, Event] = {}
    for event in page.events:
        if event.identity not in known:
            fresh.setdefault(event.identity, event)
    broken = {m.identity: m for m in page.malformed if m.identity not in known and m.identity not in fresh}
    others = [identity for identity in page.others if identity not in known]
    if fresh or broken or others:
        events = _event_rows(list(fresh.values()), list(broken.values()))
        late = _superseded(lake, fresh.values(), now)
        debts = _debt_rows([event for event in fresh.values() if event.identity not in late])
        seen = [{"identity": identity} for identity in dict.fromkeys([*fresh, *broken, *others])]

        def work(connection: Connection) -> None:
            put_rows(connection, "new_events", _EVENTS, events)
            put_rows(connection, "new_debts", _OWED, debts)
            put_rows(connection, "new_identities", _IDENTITIES, seen)
            _store(connection, run_id, now)
            if cursor is not None:
                runs.set_meta(connection, CURSOR, cursor)

        lake.commit(
            work,
            run_id=run_id,
            step="events",
            message=f"{len(fresh)} new, {len(broken)} malformed",
            unique=("owed", "event_identities"),
        )
    elif cursor is not None:
        lake.commit(lambda connection: runs.set_meta(connection, CURSOR, cursor), run_id=run_id, step="cursor")
    by_type: dict[str, int] = {}
    for event in fresh.values():
        by_type[event.event_type] = by_type.get(event.event_type, 0) + 1
    return Recorded(len(fresh), len(broken), len(known), by_type)


def _superseded(lake: Lake, events: Iterable[Event], now: datetime) -> frozenset[str]:
    """Identities of events that came after a newer one of the same key, in this page or lately.

    The newer one made the key owed, so that the storage was asked after both happened, or will be: to ask once more
    would tell nothing new. Only sequencers can say so; an event without one always counts.
    """
    ordered = {
        event.identity: (event.key, event.sequencer)
        for event in events
        if event.sequencer is not None
        and event.keys == (event.key,)
        and event.event_type is not EventType.CHANGE_PERMISSION
    }
    if not ordered:
        return frozenset()
    known = lake.read(
        """
        SELECT key, sequencer FROM events
        WHERE received_at >= ? AND sequencer IS NOT NULL AND event_type <> 'change_permission'
              AND key IN (SELECT unnest(from_json(?, '["VARCHAR"]')))
        """,
        [now - LATE, as_list({key for key, _ in ordered.values()})],
    )
    newest: dict[str, str] = {}
    for key, sequencer in [*known, *ordered.values()]:
        if key not in newest or is_older(newest[key], than=sequencer):
            newest[key] = sequencer
    return frozenset(name for name, (key, mine) in ordered.items() if is_older(mine, than=newest[key]))


def _event_rows(events: Sequence[Event], malformed: Sequence[MalformedEvent]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "identity": e.identity,
            "event_type": e.event_type.value,
            "key": e.key,
            "new_key": e.new_key,
            "also": list(e.also),
            "occurred_at": e.occurred_at,
            "sequencer": e.sequencer,
            "version_id": e.version_id,
            "etag": e.etag,
            "size": e.size,
            "permissions": e.permissions.permissions if e.permissions else None,
            "owner": e.permissions.owner if e.permissions else None,
            "group_name": e.permissions.group if e.permissions else None,
            "raw": e.raw,
            "malformed_reason": None,
            "position": position,
        }
        for position, e in enumerate(events)
    ]
    rows += [{"identity": m.identity, "raw": m.raw, "malformed_reason": m.reason, "position": -1} for m in malformed]
    return rows


def _debt_rows(events: Sequence[Event]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for position, event in enumerate(events):
        aspect = "permissions" if event.event_type is EventType.CHANGE_PERMISSION else "content"
        for key in event.keys:
            other = event.new_key if key == event.key else event.key
            rows.append(
                {
                    "identity": event.identity,
                    "path": key,
                    "aspect": aspect,
                    "reason": f"event: {event.event_type.value}",
                    "hint": other if event.new_key is not None else None,
                    "position": position,
                }
            )
    return rows


def _store(connection: Connection, run_id: str, now: datetime) -> None:
    connection.execute(
        """
        INSERT INTO events (identity, event_type, key, new_key, also, occurred_at, sequencer, version_id, etag, size,
                            permissions, owner, group_name, raw, received_at, run_id, malformed_reason)
        SELECT identity, event_type, key, new_key, also, occurred_at, sequencer, version_id, etag, size,
               permissions, owner, group_name, raw, ?, ?, malformed_reason
        FROM new_events
        """,
        [now, run_id],
    )
    connection.execute(
        "INSERT INTO event_identities (identity, received_at) SELECT identity, ? FROM new_identities", [now]
    )
    # A path whose permissions are asked for twice in a page: the later entry counts.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE wanted_permissions AS
        SELECT d.path, e.permissions, e.owner, e.group_name, e.identity, d.position
        FROM new_debts d JOIN new_events e USING (identity)
        WHERE d.aspect = 'permissions' AND coalesce(e.permissions, e.owner, e.group_name) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY d.path ORDER BY d.position DESC) = 1
        """
    )
    if connection.execute("SELECT 1 FROM wanted_permissions LIMIT 1").fetchone():
        connection.execute("DELETE FROM desired_permissions WHERE path IN (SELECT path FROM wanted_permissions)")
        # A microsecond later each: where a move brings two wishes of one page together, the later entry counts too.
        connection.execute(
            """
            INSERT INTO desired_permissions (path, permissions, owner, group_name, since, event_identity)
            SELECT path, permissions, owner, group_name, ?::TIMESTAMPTZ + to_microseconds(position), identity
            FROM wanted_permissions
            """,
            [now],
        )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE debts AS
        SELECT path, aspect, reason, hint FROM new_debts
        QUALIFY row_number() OVER (PARTITION BY path, aspect ORDER BY position DESC) = 1
        """
    )
    # A fresh event is a reason to look again at once, at a quarantined path too. What a person put off for good is
    # looked at and stays put off, unless the object is there (`observing.OBJECT_IS_BACK`).
    connection.execute(
        """
        MERGE INTO owed USING debts ON owed.path = debts.path AND owed.aspect = debts.aspect
        WHEN MATCHED THEN UPDATE SET touched_at = ?, observed_at = NULL,
                                     next_try = CASE WHEN isfinite(owed.next_try) THEN NULL ELSE owed.next_try END,
                                     hint = coalesce(debts.hint, owed.hint)
        WHEN NOT MATCHED THEN INSERT (path, aspect, since, touched_at, reason, attempts, hint)
             VALUES (debts.path, debts.aspect, ?, ?, debts.reason, 0, debts.hint)
        """,
        [now, now, now],
    )
    supersede_plans(connection, now)


def supersede_plans(connection: Connection, now: datetime) -> None:
    """Plans that are open no longer follow from the state: said in the commit that changes the state."""
    # To look first is cheap, to prepare an UPDATE that finds nothing is not.
    if connection.execute("SELECT 1 FROM plans WHERE closed_at IS NULL LIMIT 1").fetchone():
        connection.execute("UPDATE plans SET closed_at = ?, closed_as = 'superseded' WHERE closed_at IS NULL", [now])
