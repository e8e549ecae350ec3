"""One event of a SeaweedFS filer, as its webhook tells it.

SeaweedFS, `weed/notification/webhook` and the message `EventNotification` of `filer.proto`: the path before the
change, and the entry before and after it. Objects of a bucket are files below `/buckets/<bucket>/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudsync_pipeline.core.events import Event, EventType, identity_of
from cloudsync_pipeline.feeds.scope import NotUnderstood, Scope, Skipped

_BUCKETS = "/buckets/"
_UPLOADS = ".uploads/"
"""Where parts lie until their upload is completed."""


def is_filer_event(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object has the shape of one."""
    return {"key", "event_type", "message"} <= document.keys()


def of_filer(document: Mapping[str, Any], scope: Scope, delivery: str) -> Event | Skipped:
    """The event of one object. Folders, parts of uploads and files outside of our bucket give none.

    Args:
        document: the whole message.
        scope: what of it is ours.
        delivery: names this delivery; the message itself has neither number nor time.

    Raises:
        NotUnderstood: it has not that shape.
    """
    path, message = document["key"], document["message"]
    if not isinstance(path, str) or not isinstance(message, dict):
        raise NotUnderstood("key is no text, or message is no JSON object")
    old, new = _entry(message, "old_entry"), _entry(message, "new_entry")
    if any(entry is not None and entry.get("is_directory") for entry in (old, new)):
        return Skipped.NO_CHANGE
    target = path
    if old is not None and new is not None:
        folder = message.get("new_parent_path") or path.rpartition("/")[0]
        target = f"{folder}/{new.get('name') or path.rpartition('/')[2]}"
    keys = [_key(one, scope) for one in dict.fromkeys((path, target))]
    ours = [key for key in keys if isinstance(key, str)]
    if not ours:
        return Skipped.ELSEWHERE if Skipped.ELSEWHERE in keys else Skipped.NO_CHANGE
    told = _told(document, old, new)
    return Event(
        identity=identity_of({"delivery": delivery, "entry": told}),
        event_type=_kind(old, new, keys),
        key=ours[0],
        new_key=ours[1] if len(ours) == 2 else None,
        raw=json.dumps(told),
    )


def _kind(old: object, new: object, keys: list[str | Skipped]) -> EventType:
    if len(keys) == 2:
        came, went = (isinstance(key, str) for key in reversed(keys))
        return EventType.RENAME if came and went else EventType.CREATE if came else EventType.DELETE
    if new is None:
        return EventType.UPDATE if old is None else EventType.DELETE
    return EventType.CREATE if old is None else EventType.UPDATE


def _key(path: str, scope: Scope) -> str | Skipped:
    bucket, slash, key = path.removeprefix(_BUCKETS).partition("/")
    # A filer tells of all it holds, so that other buckets are no mistake in its setup.
    if not path.startswith(_BUCKETS) or not slash or scope.bucket not in (None, bucket) or key.startswith(_UPLOADS):
        return scope.outside
    return scope.key_of(bucket, key)


def _entry(message: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    value = message.get(field)
    if value is not None and not isinstance(value, dict):
        raise NotUnderstood(f"{field} is no JSON object")
    return value


def _told(document: Mapping[str, Any], *entries: Mapping[str, Any] | None) -> dict[str, Any]:
    """The message without content: a small file's own bytes stand in its entry."""
    kept = ("name", "attributes")
    old, new = ({field: e[field] for field in kept if field in e} if e is not None else None for e in entries)
    message = {"old_entry": old, "new_entry": new, "new_parent_path": document["message"].get("new_parent_path")}
    return {"key": document["key"], "event_type": document["event_type"], "message": message}
