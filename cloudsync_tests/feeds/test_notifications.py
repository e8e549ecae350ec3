"""What the messages of storages say, envelope by envelope."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.events import Event, EventType
from cloudsync_pipeline.core.keys import escape
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.feeds.notifications import Reading, read
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_tests.feeds.messages import (
    BUCKET,
    a_record,
    a_test_event,
    an_entry,
    eventbridge,
    filer,
    minio,
    notification,
    sns,
)
from cloudsync_tests.hostile_keys import HOSTILE_KEYS

OURS = Scope(bucket=BUCKET)
TEAM = Scope(bucket=BUCKET, prefix="team/")
SHARED = Scope(bucket=BUCKET, prefix="team/", shared=True)


def read_one(body: str, scope: Scope = OURS, delivery: str = "message-1") -> Event:
    """The one event of a message."""
    reading = read(body, scope, delivery)
    (event,) = reading.events
    assert reading.entries == 1
    return event


def why(body: str, scope: Scope = OURS) -> str:
    """Why a message is malformed."""
    reading = read(body, scope, "message-1")
    (malformed,) = reading.malformed
    assert reading.events == ()
    assert malformed.identity
    json.loads(malformed.raw)
    return malformed.reason


# --- bucket notifications -----------------------------------------------------------------------


def test_a_record_says_what_happened_to_which_version() -> None:
    record = a_record("ObjectCreated:Put", "dir/file", sequencer="0055AED6DCD90281E5", version="096fKKXTRTtl3on89fVO")
    event = read_one(notification(record))
    assert (event.event_type, event.key, event.also, event.new_key) == (EventType.CREATE, "dir/file", (), None)
    assert (event.sequencer, event.version_id) == ("0055AED6DCD90281E5", "096fKKXTRTtl3on89fVO")
    assert (event.size, event.etag) == (1024, "d41d8cd98f00b204e9800998ecf8427e")
    assert event.occurred_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert json.loads(event.raw) == record


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Put", EventType.CREATE),
        ("ObjectCreated:Post", EventType.CREATE),
        ("ObjectCreated:Copy", EventType.CREATE),
        ("ObjectCreated:CompleteMultipartUpload", EventType.CREATE),
        ("ObjectRemoved:Delete", EventType.DELETE),
        ("ObjectRemoved:DeleteMarkerCreated", EventType.DELETE),
        ("LifecycleExpiration:Delete", EventType.DELETE),
        ("LifecycleExpiration:DeleteMarkerCreated", EventType.DELETE),
        ("ReducedRedundancyLostObject", EventType.DELETE),
        ("ObjectRestore:Completed", EventType.UPDATE),
        ("ObjectInvented:Tomorrow", EventType.UPDATE),
    ],
)
def test_what_may_have_changed_an_object_is_an_event(name: str, kind: EventType) -> None:
    assert read_one(notification(a_record(name))).event_type is kind


@pytest.mark.parametrize(
    "name",
    [
        "ObjectTagging:Put",
        "ObjectTagging:Delete",
        "ObjectAcl:Put",
        "ObjectRestore:Post",
        "ObjectRestore:Delete",
        "LifecycleTransition",
        "IntelligentTiering",
        "Replication:OperationFailedReplication",
        "s3:ObjectAccessed:Get",
    ],
)
def test_what_changes_no_content_is_counted_and_gives_no_event(name: str) -> None:
    assert read(notification(a_record(name)), OURS, "m") == Reading(ignored=1)


@pytest.mark.parametrize("hostile", HOSTILE_KEYS, ids=lambda hostile: hostile.name)
def test_every_key_is_decoded_as_its_envelope_encodes_it(hostile: Any) -> None:
    assert read_one(notification(a_record(key=hostile.key))).key == hostile.key
    assert read_one(eventbridge(key=hostile.key)).key == hostile.key


def test_bytes_that_are_no_utf8_are_kept() -> None:
    key = escape("byte\udcff")
    assert read_one(notification(a_record(key=key))).key == key


def test_each_record_of_a_message_stands_for_itself() -> None:
    tagged, broken = a_record("ObjectTagging:Put", "c"), a_record(key="d", s3=None)
    reading = read(notification(a_record(key="a"), tagged, broken, a_record(key="b")), OURS, "m")
    assert [event.key for event in reading.events] == ["a", "b"]
    assert [one.reason for one in reading.malformed] == ["s3 is missing"]
    assert (reading.ignored, reading.entries) == (1, 4)


def test_a_test_event_is_known_and_ignored() -> None:
    assert read(a_test_event(), OURS, "m") == read(sns(a_test_event()), OURS, "m") == Reading(ignored=1)


@pytest.mark.parametrize("size", [-1, 2**63, "12", 1.5, True, None])
def test_what_is_not_needed_may_be_nonsense(size: Any) -> None:
    record = a_record(sequencer="not hexadecimal")
    record["s3"]["object"] |= {"size": size, "eTag": "nul\0", "versionId": 7}
    event = read_one(notification(record | {"eventTime": "yesterday"}))
    assert (event.size, event.etag, event.version_id, event.sequencer) == (None, None, None, None)
    assert event.occurred_at is None


# --- identity -----------------------------------------------------------------------------------


def test_one_event_has_one_identity_by_whichever_way_and_however_often_it_comes() -> None:
    record = a_record("ObjectCreated:Put", "a b", sequencer="0055AED6DCD90281E5", version="v1")
    again = a_record("ObjectCreated:Put", "a b", sequencer="0055AED6DCD90281E500", version="v1")
    bodies = [
        notification(record),
        notification(again),
        sns(notification(record)),
        sns(notification(record)),
        eventbridge("Object Created", "a b", sequencer="0055AED6DCD90281E5", version="v1"),
    ]
    assert len({read_one(body, delivery=f"message-{n}").identity for n, body in enumerate(bodies)}) == 1


def test_events_that_differ_in_anything_that_counts_differ_in_identity() -> None:
    same = {"sequencer": "0055AED6DCD90281E5", "version": "v1"}
    records = [
        a_record("ObjectCreated:Put", "a", **same),
        a_record("ObjectRemoved:Delete", "a", **same),
        a_record("ObjectCreated:Put", "b", **same),
        a_record("ObjectCreated:Put", "a", sequencer="0055AED6DCD90281E6", version="v1"),
        a_record("ObjectCreated:Put", "a", sequencer="0055AED6DCD90281E5", version="v2"),
    ]
    assert len({event.identity for event in read(notification(*records), OURS, "m").events}) == 5


def test_without_a_sequencer_the_record_itself_is_the_identity() -> None:
    one, two = a_record(sequencer=None), a_record(sequencer=None)
    first = read_one(notification(one), delivery="message-1")
    assert first.identity == read_one(notification(one), delivery="message-2").identity
    assert first.identity != read_one(notification(two)).identity


def test_a_record_that_nothing_tells_apart_goes_by_its_delivery() -> None:
    bare = a_record(sequencer=None, eventTime="2026-03-01T12:00:00Z", responseElements={})
    first = read_one(notification(bare), delivery="message-1").identity
    assert first == read_one(notification(bare), delivery="message-1").identity
    assert first != read_one(notification(bare), delivery="message-2").identity
    twice = read(notification(bare, bare), OURS, "message-3").events
    assert twice[0].identity != twice[1].identity


# --- EventBridge and SNS ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail_type", "kind"),
    [
        ("Object Created", EventType.CREATE),
        ("Object Deleted", EventType.DELETE),
        ("Object Restore Completed", EventType.UPDATE),
        ("Object Invented", EventType.UPDATE),
    ],
)
def test_an_eventbridge_event_says_the_same(detail_type: str, kind: EventType) -> None:
    event = read_one(eventbridge(detail_type, "a+b c", sequencer="617f08299329d189", version="IYV3p45BT0ac8hjHg1"))
    assert (event.event_type, event.key) == (kind, "a+b c")
    # Bucket notifications spell it in capitals, and the two have to be compared.
    assert (event.sequencer, event.version_id) == ("617F08299329D189", "IYV3p45BT0ac8hjHg1")
    assert (event.size, event.etag) == (5, "b1946ac92492d2347c6235b4d2611184")
    assert event.occurred_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "detail_type",
    [
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
        "Object Restore Initiated",
        "Object Restore Expired",
        "Object Storage Class Changed",
        "Object Access Tier Changed",
    ],
)
def test_an_eventbridge_event_that_changes_no_content_is_ignored(detail_type: str) -> None:
    assert read(eventbridge(detail_type), OURS, "m") == Reading(ignored=1)


def test_an_eventbridge_event_without_a_sequencer_goes_by_its_own_id() -> None:
    one, two = eventbridge(sequencer=None), eventbridge(sequencer=None)
    assert read_one(one, delivery="x").identity == read_one(one, delivery="y").identity != read_one(two).identity


def test_sns_is_unwrapped_around_either() -> None:
    assert read_one(sns(notification(a_record(key="a b")))).key == "a b"
    assert read_one(sns(eventbridge(key="a+b"))).key == "a+b"


def test_an_unconfirmed_subscription_is_shown_without_what_would_confirm_it() -> None:
    envelope = sns(
        "You have chosen to subscribe", Type="SubscriptionConfirmation", Token="t0ken", SubscribeURL="https://x"
    )
    assert "waits for its confirmation" in why(envelope)
    (malformed,) = read(envelope, OURS, "m").malformed
    assert "t0ken" not in malformed.raw
    assert "https://x" not in malformed.raw
    assert "acme-data-changes" in malformed.raw


# --- other storages -----------------------------------------------------------------------------


def test_minio_says_it_twice_and_means_it_once() -> None:
    event = read_one(minio("s3:ObjectRemoved:Delete", "dir/file"))
    assert (event.event_type, event.key, event.also) == (EventType.DELETE, "dir/file", ())


def test_a_sequencer_that_is_a_clock_orders_nothing() -> None:
    assert read_one(minio()).sequencer is None


def test_a_key_that_another_storage_may_not_have_encoded_means_both() -> None:
    record = a_record(key="x", source="ceph:s3")
    record["s3"]["object"]["key"] = "a+b"
    assert read_one(notification(record)).keys == ("a b", "a+b")
    record["s3"]["object"]["key"] = "plain"
    assert read_one(notification(record)).keys == ("plain",)


@pytest.mark.parametrize(
    ("body", "kind", "keys"),
    [
        (filer(f"/buckets/{BUCKET}/dir/a", new={}), EventType.CREATE, ("dir/a",)),
        (filer(f"/buckets/{BUCKET}/dir/a", old={}), EventType.DELETE, ("dir/a",)),
        (filer(f"/buckets/{BUCKET}/dir/a", old={}, new={}), EventType.UPDATE, ("dir/a",)),
        (filer(f"/buckets/{BUCKET}/dir/a", {}, {}, f"/buckets/{BUCKET}/dir"), EventType.UPDATE, ("dir/a",)),
        (filer(f"/buckets/{BUCKET}/a", {}, {"name": "b"}), EventType.RENAME, ("a", "b")),
        (filer(f"/buckets/{BUCKET}/a", {}, {"name": "b"}, f"/buckets/{BUCKET}/x"), EventType.RENAME, ("a", "x/b")),
        (filer(f"/buckets/{BUCKET}/a", {}, {}, "/buckets/other"), EventType.DELETE, ("a",)),
        (filer("/buckets/other/a", {}, {}, f"/buckets/{BUCKET}"), EventType.CREATE, ("a",)),
    ],
)
def test_a_filer_tells_of_paths_before_and_after(body: str, kind: EventType, keys: tuple[str, ...]) -> None:
    event = read_one(body)
    assert (event.event_type, event.keys) == (kind, keys)
    assert event.identity != read_one(body, delivery="message-2").identity


@pytest.mark.parametrize(
    "body",
    [
        filer("/buckets/other/a", new={}),
        filer("/topics/.system/log/a", new={}),
        filer(f"/buckets/{BUCKET}/dir", new={"is_directory": True}),
        filer(f"/buckets/{BUCKET}/.uploads/1/0001.part", new={}),
        filer(f"/buckets/{BUCKET}", new={}),
    ],
)
def test_a_filer_tells_of_much_that_is_no_object_of_ours(body: str) -> None:
    assert read(body, OURS, "m") == Reading(ignored=1)


def test_the_content_that_a_filer_sends_along_is_not_kept() -> None:
    event = read_one(filer(f"/buckets/{BUCKET}/a", new={"content": "c2VjcmV0", "attributes": {"file_size": 6}}))
    assert "c2VjcmV0" not in event.raw
    assert json.loads(event.raw)["message"]["new_entry"] == {"name": "a", "attributes": {"file_size": 6}}


# --- the project's own shape --------------------------------------------------------------------


def test_an_entry_of_the_http_api_is_understood() -> None:
    moved = read_one(json.dumps(an_entry("rename", "old", "new")))
    assert (moved.event_type, moved.keys) == (EventType.RENAME, ("old", "new"))
    wanted = Permissions(permissions="rw-r-----")
    changed = read_one(json.dumps(an_entry("change_permission", "a", permissions=wanted)))
    assert changed.permissions == wanted


def test_a_whole_list_is_understood_too() -> None:
    listed = {"events": [an_entry("create", "a"), an_entry("explode", "b"), an_entry("delete", "c")], "total_count": 3}
    reading = read(json.dumps(listed), OURS, "m")
    assert [event.key for event in reading.events] == ["a", "c"]
    assert len(reading.malformed) == 1


def test_an_entry_with_a_time_is_itself_and_one_without_is_its_delivery() -> None:
    timed = json.dumps(an_entry("update", "a", timestamp="2026-03-01T12:00:00.5Z"))
    assert read_one(timed, delivery="x").identity == read_one(timed, delivery="y").identity
    bare = json.dumps(an_entry("update", "a"))
    assert read_one(bare, delivery="x").identity == read_one(bare, delivery="x").identity
    assert read_one(bare, delivery="x").identity != read_one(bare, delivery="y").identity


def test_where_paths_begin_with_the_destination_prefix_the_others_are_not_ours() -> None:
    scope = Scope(bucket=BUCKET, path_prefix="acme")
    assert read_one(json.dumps(an_entry("create", "acme/a")), scope).key == "a"
    assert read(json.dumps(an_entry("create", "globex/a")), scope, "m") == Reading(ignored=1)


# --- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [lambda key: notification(a_record(key=key)), lambda key: eventbridge(key=key)])
def test_the_prefix_is_taken_off_and_what_lies_outside_is_ignored(message: Any) -> None:
    assert read_one(message("team/a"), TEAM).key == "a"
    for outside in ("team2/a", "team", "team/", "a"):
        assert read(message(outside), TEAM, "m") == Reading(ignored=1)


@pytest.mark.parametrize("body", [notification(a_record(bucket="other")), eventbridge(bucket="other")])
def test_another_bucket_in_a_queue_of_our_own_is_shown_as_a_mistake(body: str) -> None:
    assert why(body) == "it is about bucket 'other', not about 'acme-data'"


@pytest.mark.parametrize(
    "body",
    [
        notification(a_record(bucket="other")),
        notification(a_record(key="team2/a")),
        notification(a_record("ObjectTagging:Put", "team2/a")),
        eventbridge(bucket="other"),
        filer("/buckets/other/a", new={}),
    ],
)
def test_in_a_shared_queue_what_is_not_ours_is_for_others(body: str) -> None:
    assert read(body, SHARED, "m") == Reading(elsewhere=1)


def test_where_the_storage_has_no_buckets_none_is_wrong() -> None:
    assert read_one(notification(a_record(bucket="whatever")), Scope()).key == "file"


# --- nonsense -----------------------------------------------------------------------------------


def without(record: dict[str, Any], *path: str) -> str:
    holder = record
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return notification(record)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it is not JSON"),
        ("<html>", "it is not JSON"),
        ("9" * 5000, "it is not JSON"),
        ("[]", "it is no JSON object"),
        ('"text"', "it is no JSON object"),
        ("{}", "it is no notification of a kind that is known here"),
        ('{"Records": {}}', "it is no notification of a kind that is known here"),
        ('{"Records": []}', "its list of records is empty"),
        ('{"Records": [1]}', "the record is no JSON object"),
        ('{"events": []}', "its list of events is empty"),
        (without(a_record(), "eventName"), "eventName is missing"),
        (without(a_record(), "s3", "bucket", "name"), "name is missing"),
        (without(a_record(), "s3", "object"), "s3.object is missing"),
        (without(a_record(), "s3", "object", "key"), "key is missing"),
        (notification(a_record(source="aws:sns")), "its eventSource is 'aws:sns', no S3 storage"),
        (notification(a_record(eventName=7)), "eventName is no text"),
        (eventbridge(source="aws.ec2"), "it is an EventBridge event of 'aws.ec2', not of aws.s3"),
        (eventbridge(detail=None), "detail is missing"),
        (eventbridge(key="a").replace('"a"', '"\\ud800"'), "its key holds a character that stands for no byte"),
        (sns("hello"), "what SNS passed on is not JSON"),
        (sns(sns("{}")), "it is a message of SNS of type 'Notification', no notification of a storage"),
        ('{"key": 1, "event_type": "create", "message": {}}', "key is no text, or message is no JSON object"),
        ('{"event_type": "explode", "file_path": "a"}', "event_type 'explode' is not known"),
    ],
)
def test_what_cannot_be_understood_is_kept_with_a_reason(body: str, reason: str) -> None:
    assert why(body) == reason


@pytest.mark.parametrize("depth", [500, 900, 2000, 100_000])
def test_deep_nesting_is_malformed_and_no_crash(depth: int) -> None:
    record = notification(a_record()).replace('"2.1"', "[" * depth + "]" * depth)
    reading = read(record, OURS, "m")
    assert reading.entries == 1
    assert reading.events or reading.malformed[0].reason == "it is nested too deeply"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_no_message_is_an_error_and_each_counts(data: st.DataObject) -> None:
    record: dict[str, Any] = a_record(source=data.draw(st.sampled_from(["aws:s3", "minio:s3"])))
    for holder in (record, record["s3"], record["s3"]["object"], record["s3"]["bucket"]):
        if data.draw(st.booleans()):
            holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(json_values)
    wrapped = {"Records": [record]} if data.draw(st.booleans()) else data.draw(json_values)
    for scope in (OURS, TEAM, SHARED, Scope()):
        reading = read(json.dumps(wrapped), scope, "m")
        assert reading.entries >= 1
        for event in reading.events:
            assert "\0" not in event.raw + event.key + (event.etag or "") + (event.version_id or "")
        for malformed in reading.malformed:
            assert "\0" not in malformed.raw + malformed.reason
