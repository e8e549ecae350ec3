"""Messages as storages send them.

Shapes: Amazon S3 User Guide, "Event message structure" and "EventBridge event message structure"; Amazon SNS Developer
Guide, "Parsing message formats"; MinIO, "Bucket notifications"; SeaweedFS, `weed/notification/webhook`.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from urllib.parse import quote_plus

from cloudsync_pipeline.core.events import EventType
from cloudsync_pipeline.core.keys import unescape, unescape_bytes
from cloudsync_pipeline.core.records import Permissions

BUCKET = "acme-data"
_NUMBERS = count(1)


def next_sequencer() -> str:
    """Larger than the one before."""
    return f"{0x0055AED6DCD90281 + next(_NUMBERS):016X}"


def a_record(
    name: str = "ObjectCreated:Put",
    key: str = "file",
    *,
    bucket: str = BUCKET,
    source: str = "aws:s3",
    sequencer: str | None = "next",
    version: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One of the `Records` of a bucket notification, about an escaped key."""
    described: dict[str, Any] = {"key": quote_plus(unescape_bytes(key), safe="" if source == "minio:s3" else "/")}
    if "Created" in name:
        described |= {"size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e"}
    if version is not None:
        described["versionId"] = version
    if sequencer is not None:
        described["sequencer"] = next_sequencer() if sequencer == "next" else sequencer
    number = next(_NUMBERS)
    record = {
        "eventVersion": "2.1",
        "eventSource": source,
        "awsRegion": "eu-central-1",
        "eventTime": "2026-03-01T12:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AROAEXAMPLE:uploader"},
        "requestParameters": {"sourceIPAddress": "192.0.2.3"},
        "responseElements": {"x-amz-request-id": f"C3D13FE58DE{number:05}", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "all-changes",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": described,
        },
    }
    return record | changes


def notification(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": records})


def a_test_event(bucket: str = BUCKET) -> str:
    """What S3 sends when somebody configures a notification."""
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-01T12:00:00.000Z", "Bucket": bucket}
    return json.dumps(event | {"RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9"})


def eventbridge(
    detail_type: str = "Object Created",
    key: str = "file",
    *,
    bucket: str = BUCKET,
    sequencer: str | None = "next",
    version: str | None = None,
    **changes: Any,
) -> str:
    """An event of EventBridge about an escaped key."""
    described: dict[str, Any] = {"key": unescape(key), "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184"}
    if version is not None:
        described["version-id"] = version
    if sequencer is not None:
        described["sequencer"] = (next_sequencer() if sequencer == "next" else sequencer).lower()
    event = {
        "version": "0",
        "id": f"17793124-05d4-b198-2fde-{next(_NUMBERS):012}",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-03-01T12:00:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": described,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "192.0.2.3",
            "reason": "PutObject",
        },
    }
    return json.dumps(event | changes)


def sns(message: str, **changes: Any) -> str:
    """A message as SNS passes it on, unless its subscription asks for raw delivery."""
    envelope = {
        "Type": "Notification",
        "MessageId": f"dc1e94d9-56c5-5e96-808d-{next(_NUMBERS):012}",
        "TopicArn": "arn:aws:sns:eu-central-1:111122223333:acme-data-changes",
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": "2026-03-01T12:00:01.000Z",
        "SignatureVersion": "1",
        "Signature": "FMG5tlZhJNHLHUXvZgtZzlk24FzVa7oX0T4P03neeXw8ZEXZx6z35j2FOTuNYShn2h0bKNC",
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem",
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:1",
    }
    return json.dumps(envelope | changes)


def minio(name: str = "s3:ObjectCreated:Put", key: str = "file", *, bucket: str = BUCKET) -> str:
    record = a_record(name, key, bucket=bucket, source="minio:s3")
    return json.dumps({"EventName": name, "Key": f"{bucket}/{key}", "Records": [record]})


def filer(
    path: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, parent: str | None = None
) -> str:
    """What SeaweedFS's webhook sends of a change of one entry."""
    message: dict[str, Any] = {}
    if old is not None:
        message["old_entry"] = {"name": path.rpartition("/")[2]} | old
    if new is not None:
        message["new_entry"] = {"name": path.rpartition("/")[2]} | new
    if parent is not None:
        message["new_parent_path"] = parent
    kind = "delete" if new is None else "create" if old is None else "update"
    return json.dumps({"key": path, "event_type": kind, "message": message})


def an_entry(
    kind: EventType | str,
    key: str,
    new_key: str | None = None,
    permissions: Permissions | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """An entry as the HTTP file-manager API's event list has it, about escaped keys."""
    metadata: dict[str, Any] = {}
    if permissions is not None:
        metadata = {"permissions": permissions.permissions, "owner": permissions.owner, "group": permissions.group}
    entry = {
        "event_type": str(kind),
        "file_path": unescape(key),
        "new_path": None if new_key is None else unescape(new_key),
        "metadata": metadata,
    }
    return entry | changes


def announcement(
    kind: EventType, key: str, new_key: str | None = None, permissions: Permissions | None = None
) -> dict[str, Any]:
    """A change in the shape that can tell of it: S3 knows neither moves nor permissions."""
    match kind:
        case EventType.CREATE | EventType.UPDATE:
            return {"Records": [a_record("ObjectCreated:Put", key)]}
        case EventType.DELETE:
            return {
                "Records": [a_record("ObjectRemoved:DeleteMarkerCreated", key, version="UIORUnfndfiufdisojhr398493j")]
            }
        case _:
            return an_entry(kind, key, new_key, permissions)
