"""Entries of the HTTP file-manager API's event list to events: whose they are, and what they say.

Strict where a field is needed, indifferent where it is not: an event is a hint, and one more path looked at does
no harm, while one that is refused stays unseen until the next scan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.core.events import PERMISSION_FIELDS, Event, EventType, MalformedEvent, identity_of
from cloudsync_pipeline.core.records import Permissions

_MODE = re.compile(r"[r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-]")


class _NotUnderstood(Exception):
    """Why an entry is malformed, in words for a person."""


class _NotOurs(Exception):
    """The entry is about another integration's files."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A page's entries, sorted. `others` holds identities."""

    events: tuple[Event, ...]
    malformed: tuple[MalformedEvent, ...]
    others: tuple[str, ...]


def parse(entries: Iterable[Any], prefix: str | None) -> Parsed:
    """Sort and read entries.

    Args:
        entries: JSON values, as the list gave them.
        prefix: the destination prefix that our paths begin with, followed by `/`; None where every entry is ours
            and its paths are object keys.
    """
    events: list[Event] = []
    malformed: list[MalformedEvent] = []
    others: list[str] = []
    for entry in entries:
        try:
            identity = identity_of(entry if isinstance(entry, dict) else {"entry": entry})
            raw = json.dumps(entry)
        except RecursionError:
            # Read just below the interpreter's limit, and above it when it is written again.
            flat = {k: v for k, v in entry.items() if isinstance(v, str)} if isinstance(entry, dict) else {}
            malformed.append(MalformedEvent(identity_of(flat), "it is nested too deeply", json.dumps(flat)))
            continue
        try:
            events.append(_event(entry, identity, raw, prefix))
        except _NotOurs:
            others.append(identity)
        except _NotUnderstood as error:
            malformed.append(MalformedEvent(identity, str(error), raw))
    return Parsed(tuple(events), tuple(malformed), tuple(others))


def _event(entry: Any, identity: str, raw: str, prefix: str | None) -> Event:
    if not isinstance(entry, dict):
        raise _NotUnderstood("it is no JSON object")
    kind_text = entry.get("event_type")
    moves = kind_text in ("rename", "move")
    # Whose it is comes first: what another integration cannot understand is not ours to report.
    source = _candidates(entry, "file_path", prefix)
    if not source and not (moves and isinstance(entry.get("new_path"), str)):
        raise _NotOurs
    target = _candidates(entry, "new_path", prefix) if moves else ()
    if not source and not target:
        raise _NotOurs
    kind = _kind(kind_text)
    if moves and not source:
        # It came from another integration's folder: for us it is new.
        kind, source, target = EventType.CREATE, target, ()
    elif moves and not target:
        kind = EventType.DELETE
    return Event(
        identity=identity,
        event_type=kind,
        key=source[0],
        new_key=target[0] if target else None,
        also=(*source[1:], *target[1:]),
        occurred_at=moment(entry.get("timestamp")),
        permissions=_permissions(entry.get("metadata")) if kind is EventType.CHANGE_PERMISSION else None,
        raw=raw,
    )


def _kind(text: Any) -> EventType:
    try:
        return EventType(text)
    except ValueError as error:
        raise _NotUnderstood(f"event_type {text!r:.60} is not known") from error


def _candidates(entry: dict[str, Any], field: str, prefix: str | None) -> tuple[str, ...]:
    """The escaped keys a path may mean, likeliest first; none where it is not below the prefix."""
    path = entry.get(field)
    if not isinstance(path, str) or not path:
        raise _NotUnderstood(f"{field} is missing" if path in (None, "") else f"{field} is no text")
    bare = path.removeprefix("/")
    try:
        if prefix is None:
            # Paths may come with a slash in front that the key has not, but a key may also begin with one.
            return tuple(dict.fromkeys(keys.escape(text) for text in (bare, path) if text))
        root = prefix + "/"
        if not bare.startswith(root):
            return ()
        if bare == root:
            raise _NotUnderstood(f"{field} names the destination prefix itself, no file")
        return (keys.escape(bare.removeprefix(root)),)
    except ValueError as error:
        raise _NotUnderstood(f"{field} holds a character that stands for no byte") from error


def _permissions(metadata: Any) -> Permissions | None:
    """What is desired now, or None where the event does not tell."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise _NotUnderstood("metadata is no JSON object")
    mode = next((metadata[name] for name in PERMISSION_FIELDS if metadata.get(name) is not None), None)
    if mode is not None and not (isinstance(mode, str) and _MODE.fullmatch(mode)):
        raise _NotUnderstood(f"permissions {mode!r:.60} do not read like rw-r--r--")
    owner, group = (_name(metadata, field) for field in ("owner", "group"))
    desired = Permissions(permissions=mode, owner=owner, group=group)
    return desired if desired.known else None


def _name(metadata: dict[str, Any], field: str) -> str | None:
    value = metadata.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _NotUnderstood(f"{field} is no text")
    try:
        return keys.escape(value)
    except ValueError as error:
        raise _NotUnderstood(f"{field} holds a character that stands for no byte") from error


def moment(value: Any) -> datetime | None:
    """ISO 8601 (without an offset: UTC) or seconds since 1970; None where it is neither."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
