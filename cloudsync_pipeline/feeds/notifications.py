"""What a message in a queue or a webhook's body says: the envelopes that storages wrap their events in.

Understood are bucket notifications of Amazon S3, MinIO and Ceph (`Records`), events of EventBridge, either of them as
SNS passes them on, events of a SeaweedFS filer, and entries of the HTTP file-manager API's event list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloudsync_pipeline.core.events import Event, MalformedEvent, identity_of
from cloudsync_pipeline.feeds import entries
from cloudsync_pipeline.feeds.filer_events import is_filer_event, of_filer
from cloudsync_pipeline.feeds.s3_events import of_eventbridge, of_record
from cloudsync_pipeline.feeds.scope import NotUnderstood, Scope, Skipped

_TEST = "s3:TestEvent"
_SECRET = frozenset({"Token", "SubscribeURL", "UnsubscribeURL", "Signature"})
"""Of an SNS envelope: with these, anybody could confirm or end a subscription."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One message, sorted.

    Attributes:
        events, malformed: in the message's order.
        ignored: entries that change no file of ours.
        elsewhere: entries that are for others who read the same queue.
    """

    events: tuple[Event, ...] = ()
    malformed: tuple[MalformedEvent, ...] = ()
    ignored: int = 0
    elsewhere: int = 0

    @property
    def entries(self) -> int:
        """How many entries the message held; one where nobody could tell."""
        return len(self.events) + len(self.malformed) + self.ignored + self.elsewhere


def read(body: str, scope: Scope, delivery: str) -> Reading:
    """Sort and read the entries of a message. What cannot be understood comes as malformed, never as an error.

    Args:
        body: the message as received.
        scope: what of it is ours.
        delivery: a name that every delivery of this message has, and no other message.
    """
    try:
        return _read(body, scope, delivery, wrapped=False)
    except RecursionError:
        return _malformed("it is nested too deeply", body)


def _read(body: str, scope: Scope, delivery: str, *, wrapped: bool) -> Reading:
    try:
        # NaN and Infinity are no JSON; as text, they do no harm where nobody looks at them.
        document = json.loads(body, parse_constant=str)
    except ValueError:
        return _malformed("what SNS passed on is not JSON" if wrapped else "it is not JSON", body)
    if not isinstance(document, dict):
        return _malformed("it is no JSON object", document)
    if isinstance(document.get("Records"), list):
        return _sorted(document["Records"], lambda record, name: of_record(record, scope, name), delivery)
    if "detail-type" in document:
        return _sorted([document], lambda event, name: of_eventbridge(event, scope, name), delivery)
    if document.get("Event") == _TEST:
        return Reading(ignored=1)
    if is_filer_event(document):
        return _sorted([document], lambda event, name: of_filer(event, scope, name), delivery)
    if "event_type" in document:
        return _listed([document], scope, delivery)
    if isinstance(document.get("events"), list):
        return _listed(document["events"], scope, delivery)
    if "Type" in document and "TopicArn" in document:
        return _from_sns(document, scope, delivery, wrapped=wrapped)
    return _malformed("it is no notification of a kind that is known here", document)


def _from_sns(document: Mapping[str, Any], scope: Scope, delivery: str, *, wrapped: bool) -> Reading:
    """Amazon SNS Developer Guide, "Parsing message formats"."""
    kind, message = document["Type"], document.get("Message")
    if kind == "Notification" and isinstance(message, str) and not wrapped:
        return _read(message, scope, delivery, wrapped=True)
    shown = {field: value for field, value in document.items() if field not in _SECRET and field != "Message"}
    if kind == "SubscriptionConfirmation":
        return _malformed("a subscription of SNS waits for its confirmation: until then no events come", shown)
    return _malformed(f"it is a message of SNS of type {kind!r:.70}, no notification of a storage", shown)


def _sorted(records: Iterable[Any], one: Callable[[Any, str], Event | Skipped], delivery: str) -> Reading:
    events: list[Event] = []
    malformed: list[MalformedEvent] = []
    skipped: list[Skipped] = []
    for number, record in enumerate(records):
        try:
            found = one(record, f"{delivery}#{number}")
        except NotUnderstood as error:
            malformed += _malformed(str(error), record).malformed
            continue
        if isinstance(found, Event):
            events.append(found)
        else:
            skipped.append(found)
    if not (events or malformed or skipped):
        return _malformed("its list of records is empty", {"Records": []})
    elsewhere = skipped.count(Skipped.ELSEWHERE)
    return Reading(tuple(events), tuple(malformed), len(skipped) - elsewhere, elsewhere)


def _listed(listed: list[Any], scope: Scope, delivery: str) -> Reading:
    if not listed:
        return _malformed("its list of events is empty", {"events": []})
    parsed = entries.parse(listed, scope.path_prefix)
    timed = {identity_of(e) for e in listed if isinstance(e, dict) and e.get("timestamp")}
    # The same change may truly happen twice: without a time, only its delivery tells one from the other.
    events = tuple(
        event
        if event.identity in timed
        else replace(event, identity=identity_of({"delivery": f"{delivery}#{number}", "entry": event.identity}))
        for number, event in enumerate(parsed.events)
    )
    others = len(parsed.others)
    elsewhere = others if scope.shared else 0
    return Reading(events, parsed.malformed, others - elsewhere, elsewhere)


def _malformed(reason: str, value: Any) -> Reading:
    return Reading(malformed=(MalformedEvent(identity_of({"malformed": value}), reason, json.dumps(value)),))
