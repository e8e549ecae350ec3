"""A queue of Amazon SQS: when messages are deleted, whose they are, and what its refusals mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import boto3
import pytest

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, Throttled, Unavailable
from cloudsync_pipeline.core.events import EventType, FeedPage
from cloudsync_pipeline.feeds import sqs_client
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_pipeline.feeds.sqs import SqsFeed
from cloudsync_pipeline.feeds.sqs_client import SqsSettings
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.sigv4 import AwsCredentials
from cloudsync_tests.feeds.message_harnesses import JSON, SCOPE, Queue
from cloudsync_tests.feeds.messages import BUCKET, a_record, a_test_event, eventbridge, notification, sns
from cloudsync_tests.scripted import Asked, Reply, in_turn, scripted
from cloudsync_tests.servers import S3Server

T = TypeVar("T")
SHARED = Scope(bucket=BUCKET, prefix="team/", shared=True)


@pytest.fixture
def queue(moto: S3Server) -> Queue:
    return Queue(moto)


def with_feed(feed: SqsFeed, action: Callable[[SqsFeed], Awaitable[T]]) -> T:
    """Open the feed, do one thing with it, close it."""

    async def scenario() -> T:
        async with feed:
            return await action(feed)

    return asyncio.run(scenario())


async def taken(feed: SqsFeed, limit: int = 100) -> FeedPage:
    """A page, acknowledged."""
    page = await feed.receive(limit=limit)
    await feed.acknowledge(page)
    return page


def keys(page: FeedPage) -> list[str]:
    return [event.key for event in page.events]


# --- when messages are deleted ------------------------------------------------------------------


def test_a_message_is_in_flight_until_it_is_acknowledged_and_then_gone(queue: Queue) -> None:
    queue.send(notification(a_record(key="a")), notification(a_record(key="b")))

    async def scenario(feed: SqsFeed) -> None:
        page = await feed.receive(limit=10)
        assert (queue.waiting, queue.in_flight) == (0, 2)
        await feed.acknowledge(page)
        assert (queue.waiting, queue.in_flight) == (0, 0)

    with_feed(queue.feed(), scenario)


def test_closing_gives_back_what_was_not_acknowledged(queue: Queue) -> None:
    queue.send(*(notification(a_record(key=f"file{n}")) for n in range(12)))

    async def scenario(feed: SqsFeed) -> None:
        await feed.acknowledge(await feed.receive(limit=1))
        await feed.receive(limit=100)

    with_feed(queue.feed(), scenario)
    assert (queue.waiting, queue.in_flight) == (11, 0)


def test_what_a_dead_process_had_received_comes_again_when_its_time_is_over(queue: Queue) -> None:
    queue.send(notification(a_record(key="a")))

    async def scenario() -> None:
        # Long enough for a busy machine to look before it is over.
        dead = queue.feed(visibility_timeout=8)
        assert keys(await dead.receive(limit=10)) == ["a"]
        async with queue.feed() as feed:
            assert keys(await feed.receive(limit=10)) == []
        async with queue.feed(wait=20) as feed:
            assert keys(await taken(feed, limit=1)) == ["a"]
        await dead.close()

    asyncio.run(scenario())
    assert (queue.waiting, queue.in_flight) == (0, 0)


def test_a_message_with_more_records_than_asked_for_is_a_page_of_its_own(queue: Queue) -> None:
    queue.send(
        notification(a_record(key="a")),
        notification(a_record(key="b"), a_record(key="c"), a_record(key="d")),
        notification(a_record(key="e")),
    )

    async def scenario(feed: SqsFeed) -> None:
        first, second, third = [await taken(feed, limit=2) for _ in range(3)]
        assert [keys(page) for page in (first, second, third)] == [["a"], ["b", "c", "d"], ["e"]]
        assert [page.full for page in (first, second, third)] == [True, True, False]

    with_feed(queue.feed(), scenario)
    assert queue.waiting == queue.in_flight == 0


def test_a_message_is_deleted_only_with_all_of_its_records(queue: Queue) -> None:
    records = [a_record(key="a"), a_record(key="b", s3=None), a_record("ObjectTagging:Put", "c")]
    queue.send(notification(*records))
    page = with_feed(queue.feed(), taken)
    assert (keys(page), len(page.malformed), page.ignored, page.received) == (["a"], 1, 1, 3)
    assert queue.waiting == queue.in_flight == 0


def test_poison_is_told_of_and_deleted_like_any_other(queue: Queue) -> None:
    queue.send("<html>", notification(a_record(key="a")), '{"odd": true}', sns("what?"))
    page = with_feed(queue.feed(), taken)
    assert keys(page) == ["a"]
    assert len(page.malformed) == 3
    assert queue.waiting == queue.in_flight == 0


def test_what_changes_nothing_is_counted_and_deleted(queue: Queue) -> None:
    queue.send(a_test_event(), sns(a_test_event()), eventbridge("Object Tags Added"))
    page = with_feed(queue.feed(), taken)
    assert (page.events, page.malformed, page.received, page.ignored) == ((), (), 3, 3)
    assert queue.waiting == queue.in_flight == 0


def test_a_large_backlog_is_taken_whole(queue: Queue) -> None:
    for start in range(0, 230, 10):
        entries = [
            {"Id": str(n), "MessageBody": notification(a_record(key=f"file{n}"))} for n in range(start, start + 10)
        ]
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)

    async def scenario(feed: SqsFeed) -> None:
        pages = [await taken(feed), await taken(feed), await taken(feed)]
        assert [len(page.events) for page in pages] == [100, 100, 30]
        assert [page.full for page in pages] == [True, True, False]
        assert {key for page in pages for key in keys(page)} == {f"file{n}" for n in range(230)}

    with_feed(queue.feed(), scenario)
    assert queue.waiting == queue.in_flight == 0


# --- whose they are -----------------------------------------------------------------------------


def test_in_a_queue_of_our_own_another_bucket_is_kept_as_malformed_and_deleted(queue: Queue) -> None:
    queue.send(notification(a_record(bucket="other")), notification(a_record(key="a")))
    page = with_feed(queue.feed(), taken)
    assert keys(page) == ["a"]
    assert [one.reason for one in page.malformed] == ["it is about bucket 'other', not about 'acme-data'"]
    assert queue.waiting == queue.in_flight == 0


def test_in_a_shared_queue_what_is_for_others_stays_for_them(queue: Queue) -> None:
    queue.send(
        notification(a_record(bucket="other")),
        notification(a_record(key="team2/a")),
        notification(a_record(key="team/a")),
        eventbridge(key="team2/b"),
        a_test_event(),
    )

    async def scenario(feed: SqsFeed) -> None:
        page = await taken(feed)
        assert (keys(page), page.malformed, page.received, page.ignored) == (["a"], (), 5, 4)
        # They are not in the way of what comes behind them.
        queue.send(notification(a_record(key="team/b")))
        assert keys(await taken(feed)) == ["b"]

    with_feed(queue.feed(SHARED), scenario)
    assert (queue.waiting, queue.in_flight) == (3, 0)
    theirs = with_feed(queue.feed(Scope(bucket=BUCKET, prefix="team2/", shared=True)), taken)
    assert keys(theirs) == ["a", "b"]
    assert queue.waiting == 1


# --- a real bucket, as far as moto goes ---------------------------------------------------------


def test_changes_of_a_bucket_arrive_with_their_keys(queue: Queue) -> None:
    s3 = queue.server.client()
    bucket = queue.server.new_bucket()
    configuration: dict[str, Any] = {"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )
    for key in ("plain", "with space+plus", "dir/ümlaut"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"content")
    s3.delete_object(Bucket=bucket, Key="plain")
    page = with_feed(queue.feed(Scope(bucket=bucket)), taken)
    assert [(event.event_type, event.key) for event in page.events] == [
        (EventType.CREATE, "plain"),
        (EventType.CREATE, "with space+plus"),
        (EventType.CREATE, "dir/ümlaut"),
        (EventType.DELETE, "plain"),
    ]
    # The first is S3's test of the notification itself.
    assert (page.received, page.ignored, page.malformed) == (5, 1, ())
    assert queue.waiting == queue.in_flight == 0


def test_changes_of_a_bucket_arrive_through_eventbridge(queue: Queue) -> None:
    server = queue.server
    s3, bucket = server.client(), server.new_bucket()
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    bridge: Any = _client(server, "events")
    bridge.put_rule(Name=bucket, EventPattern=json.dumps({"detail": {"bucket": {"name": [bucket]}}}))
    bridge.put_targets(Rule=bucket, Targets=[{"Id": "queue", "Arn": queue.arn}])
    s3.put_object(Bucket=bucket, Key="with space+plus", Body=b"content")
    page = with_feed(queue.feed(Scope(bucket=bucket)), taken)
    assert [(event.event_type, event.key) for event in page.events] == [(EventType.CREATE, "with space+plus")]


@pytest.mark.parametrize("raw", [False, True])
def test_changes_of_a_bucket_arrive_through_sns(queue: Queue, raw: bool) -> None:
    server = queue.server
    s3, bucket, topics = server.client(), server.new_bucket(), _client(server, "sns")
    topic = topics.create_topic(Name=bucket)["TopicArn"]
    topics.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": str(raw).lower()}
    )
    configuration: dict[str, Any] = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [configuration]}
    )
    s3.put_object(Bucket=bucket, Key="with space+plus", Body=b"content")
    page = with_feed(queue.feed(Scope(bucket=bucket)), taken)
    assert (keys(page), page.malformed) == (["with space+plus"], ())


def _client(server: S3Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
    )


# --- answers that moto does not give ------------------------------------------------------------


def answer(**content: Any) -> Reply:
    return Reply(headers=JSON, body=json.dumps(content).encode())


def refusal(code: str, status: int = 400, **headers: str) -> Reply:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "secret"}).encode()
    return Reply(status=status, headers={**JSON, **headers}, body=body)


def a_message(number: int = 1, receipt: str = "receipt") -> dict[str, str]:
    body = notification(a_record(key=f"file{number}", sequencer=f"{number:04}"))
    return {"MessageId": f"message-{number}", "ReceiptHandle": receipt, "Body": body}


def failed(code: str, *, senders: bool) -> dict[str, Any]:
    return {"Id": "0", "Code": code, "SenderFault": senders}


def play(
    script: Callable[[Asked], Reply], action: Callable[[SqsFeed], Awaitable[None]], **changes: Any
) -> list[tuple[str, Any]]:
    """Do something with a feed whose server answers by the script. Gives what was asked: action and arguments."""

    async def scenario() -> list[tuple[str, Any]]:
        async with scripted(script) as server:
            settings = SqsSettings(
                **{
                    "queue_url": f"{server.url}/123456789012/queue",
                    "credentials": AwsCredentials("key", "secret"),
                    "attempts": 1,
                    "http": HttpSettings(connect_timeout=5, read_timeout=10, trust_env=False),
                    **changes,
                }
            )
            async with SqsFeed(settings, SCOPE) as feed:
                await action(feed)
            return [
                (asked.headers["x-amz-target"].removeprefix("AmazonSQS."), json.loads(asked.body))
                for asked in server.asked
            ]

    return asyncio.run(scenario())


def test_it_asks_as_it_is_configured() -> None:
    async def scenario(feed: SqsFeed) -> None:
        await feed.receive(limit=3)

    asked = play(in_turn(answer()), scenario, wait=2, visibility_timeout=77)
    assert [name for name, _ in asked] == ["ReceiveMessage"]
    assert {name: asked[0][1][name] for name in ("MaxNumberOfMessages", "WaitTimeSeconds", "VisibilityTimeout")} == {
        "MaxNumberOfMessages": 3,
        "WaitTimeSeconds": 2,
        "VisibilityTimeout": 77,
    }


def test_a_message_delivered_twice_is_one_and_deleted_by_its_newest_receipt() -> None:
    async def scenario(feed: SqsFeed) -> None:
        page = await feed.receive(limit=10)
        assert keys(page) == ["file1"]
        await feed.acknowledge(page)

    script = in_turn(
        answer(Messages=[a_message(receipt="old")]),
        answer(Messages=[a_message(receipt="new")]),
        answer(Successful=[{"Id": "0"}]),
    )
    (_, arguments) = play(script, scenario)[-1]
    assert arguments["Entries"] == [{"Id": "0", "ReceiptHandle": "new"}]


def test_a_delete_that_failed_for_the_servers_own_reasons_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs_client, "delay_before", lambda *_, **__: 0.0)

    async def scenario(feed: SqsFeed) -> None:
        await feed.acknowledge(await feed.receive(limit=1))

    script = in_turn(
        answer(Messages=[a_message()]),
        answer(Failed=[failed("InternalError", senders=False)]),
        answer(Successful=[{"Id": "0"}]),
    )
    assert [name for name, _ in play(script, scenario)] == [
        "ReceiveMessage",
        "DeleteMessageBatch",
        "DeleteMessageBatch",
    ]


def test_a_delete_that_keeps_failing_is_told_and_the_message_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs_client, "delay_before", lambda *_, **__: 0.0)

    async def scenario(feed: SqsFeed) -> None:
        page = await feed.receive(limit=1)
        with pytest.raises(Unavailable, match="1 messages could not be deleted"):
            await feed.acknowledge(page)
        assert keys(await feed.receive(limit=1)) == ["file1"]

    script = in_turn(answer(Messages=[a_message()]), answer(Failed=[failed("InternalError", senders=False)]))
    asked = [name for name, _ in play(script, scenario)]
    assert asked == ["ReceiveMessage", *["DeleteMessageBatch"] * 3, "ChangeMessageVisibilityBatch"]


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.ReceiptHandleIsInvalid"])
def test_a_receipt_that_is_too_old_is_no_failure(code: str) -> None:
    async def scenario(feed: SqsFeed) -> None:
        await feed.acknowledge(await feed.receive(limit=1))

    script = in_turn(answer(Messages=[a_message()]), answer(Failed=[failed(code, senders=True)]))
    assert [name for name, _ in play(script, scenario)] == ["ReceiveMessage", "DeleteMessageBatch"]


def test_closing_works_where_giving_back_is_refused() -> None:
    async def scenario(feed: SqsFeed) -> None:
        await feed.receive(limit=1)

    script = in_turn(answer(Messages=[a_message()]), refusal("AccessDeniedException"))
    assert [name for name, _ in play(script, scenario)] == ["ReceiveMessage", "ChangeMessageVisibilityBatch"]


def test_what_one_call_brought_is_given_back_when_another_one_fails() -> None:
    async def scenario(feed: SqsFeed) -> None:
        with pytest.raises(Throttled):
            await feed.receive(limit=20)

    script = in_turn(answer(Messages=[a_message()]), refusal("RequestThrottled"), answer(Successful=[{"Id": "0"}]))
    asked = play(script, scenario)
    assert [name for name, _ in asked] == ["ReceiveMessage", "ReceiveMessage", "ChangeMessageVisibilityBatch"]
    assert asked[-1][1]["Entries"] == [{"Id": "0", "ReceiptHandle": "receipt", "VisibilityTimeout": 0}]


def test_a_refused_delete_is_told() -> None:
    async def scenario(feed: SqsFeed) -> None:
        page = await feed.receive(limit=1)
        with pytest.raises(AccessDenied, match=r"deleting from .*AccessDeniedException.*sqs:DeleteMessage"):
            await feed.acknowledge(page)

    play(in_turn(answer(Messages=[a_message()]), refusal("AccessDeniedException")), scenario)


def test_temporary_keys_are_sent() -> None:
    seen: list[Asked] = []

    def script(asked: Asked) -> Reply:
        seen.append(asked)
        return answer()

    async def scenario(feed: SqsFeed) -> None:
        await feed.health()

    play(script, scenario, credentials=AwsCredentials("key", "secret", "token"), region="eu-west-3")
    assert seen[0].headers["x-amz-security-token"] == "token"
    assert "/eu-west-3/sqs/" in seen[0].headers["authorization"]


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "region", "address"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1", None),
        ("https://sqs-fips.us-east-1.amazonaws.com/1/q", "us-east-1", None),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1", None),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1", None),
        ("http://localhost:9324/000000000000/q", None, "http://localhost:9324"),
        (
            "https://sqs.eu-central-1.amazonaws.com.example.org/1/q",
            None,
            "https://sqs.eu-central-1.amazonaws.com.example.org",
        ),
    ],
)
def test_the_url_of_a_queue_says_where_it_is(url: str, region: str | None, address: str | None) -> None:
    settings = SqsSettings(queue_url=url)
    assert (settings.region_in_url, settings.address) == (region, address)
    assert SqsSettings(queue_url=url, endpoint="https://vpce").address == "https://vpce"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"queue_url": "my-queue"}, "no address of a queue"),
        ({"queue_url": "https://user:sesame@host/q"}, "no address of a queue"),
        ({"queue_url": "https://sqs.eu-central-1.amazonaws.com/"}, "no address of a queue"),
        ({"wait": 21}, "from 0 to 20"),
        ({"visibility_timeout": 0}, "from 1 to 43200"),
        ({"page_size": 0}, "from 1 to 5000"),
        ({"attempts": 0}, "from 1 to 10"),
        ({"credentials": AwsCredentials(anonymous=True)}, "anonymously"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        SqsSettings(**{"queue_url": "https://sqs.eu-central-1.amazonaws.com/1/q", **changes})
    assert "sesame" not in str(caught.value)


def test_nothing_that_is_shown_holds_a_secret() -> None:
    settings = SqsSettings(
        queue_url="https://sqs.eu-central-1.amazonaws.com/1/q", credentials=AwsCredentials("key", "s3same", "t0ken")
    )
    shown = repr(settings) + repr(SqsFeed(settings, SCOPE))
    assert "s3same" not in shown
    assert "t0ken" not in shown
