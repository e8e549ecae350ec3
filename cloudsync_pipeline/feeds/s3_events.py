"""One event of an S3 bucket, in either of the spellings that Amazon has for it.

Amazon S3 User Guide, "Event message structure" (as sent to SQS and SNS, and by MinIO and Ceph), "EventBridge event
message structure", and "Event notification types and destinations" for the names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from cloudsync_pipeline.core.events import Event, EventType, identity_of
from cloudsync_pipeline.feeds.entries import moment
from cloudsync_pipeline.feeds.scope import NotUnderstood, Scope, Skipped

# What a name that is not listed means to us is looked up in the storage: one HEAD too many does no harm.
_CHANGES: tuple[tuple[str, EventType | None], ...] = (
    ("ObjectCreated:", EventType.CREATE),
    # Also of a single version, and then the object may still be there: HEAD decides.
    ("ObjectRemoved:", EventType.DELETE),
    ("LifecycleExpiration:", EventType.DELETE),
    ("ReducedRedundancyLostObject", EventType.DELETE),
    # It can be read again.
    ("ObjectRestore:Completed", EventType.UPDATE),
    ("ObjectRestore:", None),
    ("ObjectTagging:", None),
    # Says neither what the permissions are now nor anything of the file manager's, which are other ones.
    ("ObjectAcl:", None),
    ("LifecycleTransition", None),
    ("IntelligentTiering", None),
    ("Replication:", None),
    # MinIO's.
    ("ObjectAccessed:", None),
    ("ObjectTransition:", None),
)
_DETAIL_TYPES: Mapping[str, EventType | None] = {
    "Object Created": EventType.CREATE,
    "Object Deleted": EventType.DELETE,
    "Object Restore Completed": EventType.UPDATE,
    "Object Restore Initiated": None,
    "Object Restore Expired": None,
    "Object Tags Added": None,
    "Object Tags Deleted": None,
    "Object ACL Updated": None,
    "Object Storage Class Changed": None,
    "Object Access Tier Changed": None,
}
_AWS = "aws:s3"
_ENCODING = frozenset({_AWS, "minio:s3"})
"""Sources that certainly encode keys."""
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,64}")
_PLAIN = re.compile(r"[\x21-\x7e]{1,1024}")
_LARGEST = 2**63 - 1


def of_record(record: Any, scope: Scope, delivery: str) -> Event | Skipped:
    """One of the `Records` of a notification.

    Args:
        record: a JSON value.
        scope: what of it is ours.
        delivery: names this delivery, for the identity of events that nothing else tells apart.

    Raises:
        NotUnderstood: it is no such record, or one of another bucket.
    """
    entry = _object(record, "the record")
    source = _text(entry, "eventSource")
    if not source.endswith(":s3"):
        raise NotUnderstood(f"its eventSource is {source!r:.70}, no S3 storage")
    s3 = _object(entry.get("s3"), "s3")
    bucket, described = _text(_object(s3.get("bucket"), "s3.bucket"), "name"), _object(s3.get("object"), "s3.object")
    spelt = _text(described, "key")
    key = scope.key_of(bucket, _decoded(spelt))
    also: tuple[str, ...] = ()
    if source not in _ENCODING:
        # What is written may also be the key itself.
        literal = scope.key_of(bucket, spelt)
        if isinstance(key, Skipped):
            key = literal
        elif isinstance(literal, str) and literal != key:
            also = (literal,)
    if isinstance(key, Skipped):
        return key
    kind = _change(_text(entry, "eventName").removeprefix("s3:"))
    if kind is None:
        return Skipped.NO_CHANGE
    # Others make theirs from a clock, and no clock may say which event is the older one.
    sequencer = _sequencer(described.get("sequencer")) if source == _AWS else None
    version = _plain(described.get("versionId"))
    time = entry.get("eventTime")
    answer = entry.get("responseElements")
    numbered = isinstance(answer, dict) and bool(answer.get("x-amz-request-id"))
    own = numbered or (isinstance(time, str) and "." in time)
    return Event(
        identity=_sequenced(bucket, key, kind, sequencer, version)
        or identity_of(entry if own else {"delivery": delivery, "entry": entry}),
        event_type=kind,
        key=key,
        also=also,
        occurred_at=moment(time),
        sequencer=sequencer,
        version_id=version,
        etag=_plain(described.get("eTag")),
        size=_size(described.get("size")),
        raw=json.dumps(entry),
    )


def of_eventbridge(event: Mapping[str, Any], scope: Scope, delivery: str) -> Event | Skipped:
    """An event of Amazon EventBridge. Its keys are not encoded. Arguments and errors as of `of_record`."""
    source = _text(event, "source")
    if source != "aws.s3":
        raise NotUnderstood(f"it is an EventBridge event of {source!r:.70}, not of aws.s3")
    detail = _object(event.get("detail"), "detail")
    bucket, described = _text(_object(detail.get("bucket"), "bucket"), "name"), _object(detail.get("object"), "object")
    spelt = _text(described, "key")
    key = scope.key_of(bucket, spelt)
    if isinstance(key, Skipped):
        return key
    kind = _DETAIL_TYPES.get(_text(event, "detail-type"), EventType.UPDATE)
    if kind is None:
        return Skipped.NO_CHANGE
    sequencer = _sequencer(described.get("sequencer"))
    version = _plain(described.get("version-id"))
    return Event(
        identity=_sequenced(bucket, key, kind, sequencer, version)
        or identity_of(event if event.get("id") else {"delivery": delivery, "entry": event}),
        event_type=kind,
        key=key,
        occurred_at=moment(event.get("time")),
        sequencer=sequencer,
        version_id=version,
        etag=_plain(described.get("etag")),
        size=_size(described.get("size")),
        raw=json.dumps(event),
    )


def _change(name: str) -> EventType | None:
    return next((kind for start, kind in _CHANGES if name.startswith(start)), EventType.UPDATE)


def _decoded(spelt: str) -> bytes:
    return unquote_to_bytes(spelt.replace("+", " ").encode("utf-8", "surrogatepass"))


def _sequenced(bucket: str, key: str, kind: EventType, sequencer: str | None, version: str | None) -> str:
    """The same for every message about an event, by whichever way it came; "" where nothing numbers it."""
    if sequencer is None:
        return ""
    # The shorter spelling of a sequencer leaves out the zeros that it is padded with.
    number = sequencer.rstrip("0")
    return identity_of({"bucket": bucket, "key": key, "kind": kind.value, "sequencer": number, "version": version})


def _sequencer(value: Any) -> str | None:
    """In one spelling: bucket notifications write capitals, EventBridge small letters."""
    return value.upper() if isinstance(value, str) and _HEXADECIMAL.fullmatch(value) else None


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotUnderstood(f"{name} is missing" if value is None else f"{name} is no JSON object")
    return value


def _text(holder: Mapping[str, Any], field: str) -> str:
    value = holder.get(field)
    if not isinstance(value, str) or not value:
        raise NotUnderstood(f"{field} is missing" if value in (None, "") else f"{field} is no text")
    return value


def _plain(value: Any) -> str | None:
    return value.strip('"') if isinstance(value, str) and _PLAIN.fullmatch(value) else None


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None
