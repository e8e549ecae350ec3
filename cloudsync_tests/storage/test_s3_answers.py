"""What the storage makes of answers, proper and improper."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    ContainerNotFound,
    IncompleteListing,
    NotFound,
    PreconditionFailed,
    Rejected,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.storage.s3 import S3Settings, S3Storage
from cloudsync_pipeline.storage.s3.ranges import WORTH_IT
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.contracts.subject import batches_of, content_of
from cloudsync_tests.scripted import Asked, Reply, Script, Then, in_turn, scripted
from cloudsync_tests.storage.test_s3_errors import document
from cloudsync_tests.storage.test_s3_listing import a_page

T = TypeVar("T")
MD5 = "9a0364b9e99bb480dd25e1f0284c8555"
FOUND = Reply(headers={"ETag": f'"{MD5}"', "Last-Modified": "Mon, 04 May 2026 12:00:00 GMT"}, body=b"content")
NO_KEY = Reply(404, body=document("NoSuchKey"))


def with_script(script: Script, use: Callable[[S3Storage], Awaitable[T]], **changes: Any) -> tuple[T, list[Asked]]:
    """Use a storage whose server answers by a script; also what it was asked."""

    async def no_pause(_: float) -> None:
        return None

    async def main() -> tuple[T, list[Asked]]:
        async with scripted(script) as server:
            values: dict[str, Any] = {"provider": "aws", "access_key": "a", "secret_key": "s", "region": "r"}
            values["http"] = HttpSettings(trust_env=False, read_timeout=0.3)
            settings = S3Settings("bucket", server.url, **values | changes)
            async with S3Storage(settings, pause=changes.get("pause", no_pause)) as storage:
                return await use(storage), server.asked

    return asyncio.run(main())


def head(script: Script, **changes: Any) -> StorageObject:
    return with_script(script, lambda storage: storage.head("k"), **changes)[0]


def headless(reply: Reply) -> Reply:
    """The answer to HEAD: the same headers, no body."""
    return Reply(reply.status, reply.headers, b"", announced=len(reply.body))


def by_method(head: Reply, get: Reply) -> Script:
    return lambda asked: headless(head) if asked.method == "HEAD" else get


class TestHead:
    def test_an_object_is_described_by_its_headers(self) -> None:
        headers = {
            "x-amz-version-id": "v1",
            "x-amz-storage-class": "GLACIER_IR",
            "Content-Type": "text/plain",
            **FOUND.headers,
        }

        found = head(lambda _: headless(Reply(headers=headers, body=b"content")))

        assert (found.key, found.size, found.etag) == ("k", 7, MD5)
        assert (found.version_id, found.storage_class, found.content_type) == ("v1", "GLACIER_IR", "text/plain")
        assert found.last_modified == datetime(2026, 5, 4, 12, tzinfo=UTC)
        assert found.fingerprint is not None

    @pytest.mark.parametrize(
        ("provider", "etag", "headers", "vouched"),
        [
            ("aws", MD5, {}, True),
            ("aws", MD5.upper(), {}, True),
            ("aws", MD5, {"x-amz-server-side-encryption": "AES256"}, True),
            ("aws", MD5, {"x-amz-server-side-encryption": "aws:kms"}, False),
            ("aws", MD5, {"x-amz-server-side-encryption": "aws:kms:dsse"}, False),
            ("aws", MD5, {"x-amz-server-side-encryption-customer-algorithm": "AES256"}, False),
            ("aws", f"{MD5}-2", {}, False),
            ("aws", "opaque", {}, False),
            ("minio", MD5, {}, True),
            ("minio", MD5, {"x-amz-server-side-encryption": "AES256"}, False),
            ("generic", MD5, {}, False),
            ("gcs", MD5, {}, False),
        ],
    )
    def test_an_etag_is_a_fingerprint_only_where_the_vendor_vouches(
        self, provider: str, etag: str, headers: dict[str, str], vouched: bool
    ) -> None:
        reply = headless(Reply(headers={"ETag": f'"{etag}"', **headers}, body=b"content"))

        found = head(lambda _: reply, provider=provider)

        assert (found.fingerprint is not None) == vouched
        if found.fingerprint is not None:
            assert (found.fingerprint.value, found.fingerprint.size) == (MD5, 7)

    def test_a_missing_key_is_confirmed_by_the_body_of_a_get(self) -> None:
        with pytest.raises(NotFound):
            head(by_method(NO_KEY, NO_KEY))

    def test_a_missing_bucket_is_not_a_missing_key(self) -> None:
        with pytest.raises(ContainerNotFound):
            head(by_method(NO_KEY, Reply(404, body=document("NoSuchBucket"))))

    def test_a_404_of_a_proxy_is_not_a_missing_key(self) -> None:
        with pytest.raises(BadAnswer, match="proxy"):
            head(by_method(NO_KEY, Reply(404, body=b"<html>Not Found</html>")))

    def test_a_delete_marker_is_a_missing_key_at_once(self) -> None:
        async def look(storage: S3Storage) -> None:
            with pytest.raises(NotFound, match="deleted"):
                await storage.head("k")

        marker = Reply(404, {"x-amz-delete-marker": "true"})
        _, asked = with_script(lambda _: headless(marker), look)
        assert len(asked) == 1

    def test_an_object_that_came_between_is_found(self) -> None:
        part = Reply(206, {"ETag": '"e"', "Content-Range": "bytes 0-0/7"}, b"c")

        found = head(by_method(NO_KEY, part))

        assert (found.size, found.etag) == (7, "e")

    def test_denied_access_is_not_absence(self) -> None:
        with pytest.raises(AccessDenied, match="InvalidAccessKeyId"):
            head(by_method(Reply(403), Reply(403, body=document("InvalidAccessKeyId"))))

    @pytest.mark.parametrize(("status", "expected"), [(500, Unavailable), (503, Throttled), (429, Throttled)])
    def test_a_server_in_trouble_is_not_asked_twice(self, status: int, expected: type[Exception]) -> None:
        async def look(storage: S3Storage) -> None:
            with pytest.raises(expected):
                await storage.head("k")

        _, asked = with_script(lambda _: Reply(status), look)
        assert len(asked) == 1

    @pytest.mark.parametrize("missing", ["ETag", "Content-Length"])
    def test_an_answer_without_label_or_size_is_none(self, missing: str) -> None:
        reply = Reply(headers={"ETag": '"e"'} if missing != "ETag" else {}, announced=-1 if missing != "ETag" else None)

        with pytest.raises(BadAnswer, match="no size or no ETag"):
            head(lambda _: reply)

    def test_the_moment_is_the_requests_by_the_servers_clock(self) -> None:
        early = Reply(headers={"ETag": '"e"', "Date": "Mon, 04 May 2020 12:00:00 GMT"})
        before = datetime(2020, 5, 4, 11, 59, 58, tzinfo=UTC)

        assert before < head(lambda _: early).observed_at <= datetime(2020, 5, 4, 12, tzinfo=UTC)


class TestRead:
    def read(self, script: Script, **asked: Any) -> bytes:
        return with_script(script, lambda storage: content_of(storage, "k", **asked))[0]

    def test_compressed_content_comes_as_it_is_stored(self) -> None:
        reply = Reply(headers={"ETag": '"e"', "Content-Encoding": "gzip"}, body=b"\x1f\x8bnot even gzip")

        assert self.read(lambda _: reply) == reply.body

    def test_the_version_and_the_part_are_asked_for(self) -> None:
        part = Reply(206, {"ETag": '"e"', "Content-Range": "bytes 2-4/7"}, b"nte")

        _, (asked,) = with_script(
            lambda _: part, lambda storage: content_of(storage, "k", if_match="e", start=2, length=3)
        )

        assert (asked.headers["if-match"], asked.headers["range"]) == ('"e"', "bytes=2-4")
        assert asked.headers["accept-encoding"] == "identity"

    def test_a_vendor_that_decompresses_is_asked_for_gzip(self) -> None:
        _, (asked,) = with_script(lambda _: FOUND, lambda storage: content_of(storage, "k"), provider="gcs")

        assert asked.headers["accept-encoding"] == "gzip"

    def test_a_server_that_overlooks_the_condition_is_noticed(self) -> None:
        with pytest.raises(PreconditionFailed):
            self.read(lambda _: FOUND, if_match="another")

    @pytest.mark.parametrize(
        ("reply", "asked"),
        [
            (FOUND, {"start": 1}),
            (FOUND, {"length": 3}),
            (Reply(206, {"ETag": '"e"', "Content-Range": "bytes 0-2/7"}, b"con"), {"start": 1, "length": 3}),
            (Reply(206, {"ETag": '"e"', "Content-Range": "bytes 1-2/7"}, b"on"), {"start": 1, "length": 3}),
            (Reply(206, {"ETag": '"e"'}, b"ont"), {"start": 1, "length": 3}),
            (Reply(206, {"ETag": '"e"', "Content-Range": "bytes 0-2/7"}, b"con"), {}),
        ],
    )
    def test_another_part_than_the_one_asked_for_is_refused(self, reply: Reply, asked: dict[str, int]) -> None:
        with pytest.raises(BadAnswer, match="part"):
            self.read(lambda _: reply, **asked)

    def test_a_body_that_ends_early_is_noticed(self) -> None:
        with pytest.raises(BadAnswer, match="ended before"):
            self.read(lambda _: Reply(headers={"ETag": '"e"'}, body=b"cont", announced=7, then=Then.CLOSE))

    def test_a_part_shorter_than_it_says_is_noticed(self) -> None:
        short = Reply(206, {"ETag": '"e"', "Content-Range": "bytes 1-3/7"}, b"on")

        with pytest.raises(BadAnswer, match="3 bytes"):
            self.read(lambda _: short, start=1, length=3)

    def test_a_connection_that_breaks_within_the_body_is_unreachable(self) -> None:
        with pytest.raises(Unreachable):
            self.read(lambda _: Reply(headers={"ETag": '"e"'}, body=b"c" * 10, announced=10_000, then=Then.RESET))

    def test_a_body_that_stalls_is_unreachable(self) -> None:
        with pytest.raises(Unreachable, match="silent"):
            self.read(lambda _: Reply(headers={"ETag": '"e"'}, body=b"c", announced=7, then=Then.STALL))

    def test_an_object_that_grew_while_its_empty_range_was_asked_for_is_noticed(self) -> None:
        script = in_turn(Reply(416, body=document("InvalidRange")), FOUND)

        with pytest.raises(PreconditionFailed):
            self.read(script, length=3)

    def test_an_archived_object_says_so(self) -> None:
        with pytest.raises(Rejected, match="archived"):
            self.read(lambda _: Reply(403, body=document("InvalidObjectState")))

    @pytest.mark.parametrize("connections", [1, 3])
    def test_large_reads_do_not_wait_for_each_others_connections(self, connections: int) -> None:
        content = bytes(range(256)) * (WORTH_IT // 256 + 100)

        def script(asked: Asked) -> Reply:
            given = asked.headers.get("range")
            if given is None:
                return Reply(headers=FOUND.headers, body=content)
            first, last = map(int, given.removeprefix("bytes=").split("-"))
            there = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            return Reply(206, FOUND.headers | there, content[first : last + 1])

        async def use(storage: S3Storage) -> list[bool]:
            return [each == content for each in await asyncio.gather(*(content_of(storage, "k") for _ in range(3)))]

        http = HttpSettings(trust_env=False, max_connections=connections)
        assert with_script(script, use, http=http)[0] == [True] * 3


class TestList:
    LAST = Reply(body=a_page("b"))
    FIRST = Reply(
        body=a_page(
            "a", truncated="<IsTruncated>true</IsTruncated><NextContinuationToken>t/+=1</NextContinuationToken>"
        )
    )
    TROUBLES = (
        Reply(503, body=document("SlowDown")),
        Reply(500, body=document("InternalError")),
        Reply(body=LAST.body[:-20]),
        Reply(body=LAST.body, announced=len(LAST.body) + 5, then=Then.CLOSE),
        Reply(body=b"<Error><Code>InternalError</Code></Error>"),
        Reply(raw=b"", then=Then.RESET),
        Reply(raw=b"", then=Then.STALL),
    )

    def keys(self, script: Script, **changes: Any) -> tuple[list[str], list[Asked]]:
        batches, asked = with_script(script, batches_of, **changes)
        return [row["key"] for batch in batches for row in batch.to_pylist()], asked

    def test_the_token_is_sent_back_as_it_came(self) -> None:
        keys, asked = self.keys(in_turn(self.FIRST, self.LAST), listing_parallelism=1)

        assert keys == ["a", "b"]
        assert "continuation-token=t%2F%2B%3D1&" in asked[1].target

    def test_prefixes_and_encoding_are_asked_for(self) -> None:
        _, (asked,) = self.keys(in_turn(Reply(body=a_page())), prefix="a b+")

        assert "encoding-type=url&list-type=2&max-keys=1000&prefix=a%20b%2B%2F" in asked.target

    @pytest.mark.parametrize("trouble", TROUBLES, ids=range(len(TROUBLES)))
    def test_a_page_is_asked_for_again(self, trouble: Reply) -> None:
        keys, _ = self.keys(in_turn(self.FIRST, trouble, trouble, self.LAST), listing_parallelism=1)

        assert keys == ["a", "b"]

    @pytest.mark.parametrize("trouble", TROUBLES, ids=range(len(TROUBLES)))
    def test_a_listing_that_breaks_off_says_so(self, trouble: Reply) -> None:
        with pytest.raises(IncompleteListing, match="after 2 tries"):
            self.keys(in_turn(self.FIRST, trouble), page_attempts=2, listing_parallelism=1)

    def test_retries_wait_as_long_as_the_storage_asks(self) -> None:
        waits: list[float] = []

        async def note(seconds: float) -> None:
            waits.append(seconds)

        slow = Reply(503, {"Retry-After": "7"}, document("SlowDown"))

        async def main() -> None:
            async with scripted(in_turn(slow, Reply(500), self.LAST)) as server:
                settings = S3Settings("bucket", server.url, access_key="a", secret_key="s", region="r")
                async with S3Storage(settings, pause=note) as storage:
                    await batches_of(storage)

        asyncio.run(main())
        assert waits[0] >= 7.0
        assert 0.1 < waits[1] < 7.0

    def test_a_storage_that_asks_to_wait_for_long_ends_the_listing_instead_of_holding_the_run(self) -> None:
        async def look(storage: S3Storage) -> None:
            with pytest.raises(IncompleteListing, match="after 1 tries") as caught:
                await batches_of(storage)
            assert caught.value.retry_after == 3600.0

        _, asked = with_script(lambda _: Reply(503, {"Retry-After": "3600"}, document("SlowDown")), look)
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            (Reply(403, body=document("AccessDenied")), AccessDenied),
            (Reply(404, body=document("NoSuchBucket")), ContainerNotFound),
            (Reply(301, {"x-amz-bucket-region": "eu-west-1"}, document("PermanentRedirect")), Rejected),
        ],
    )
    def test_what_trying_again_cannot_help_is_raised_at_once(self, reply: Reply, expected: type[Exception]) -> None:
        async def look(storage: S3Storage) -> None:
            with pytest.raises(expected):
                await batches_of(storage)

        _, asked = with_script(lambda _: reply, look)
        assert len(asked) == 1

    def test_a_token_that_comes_again_ends_the_listing(self) -> None:
        with pytest.raises(IncompleteListing, match="token"):
            self.keys(in_turn(self.FIRST), listing_parallelism=1)

    def test_a_bucket_that_vanishes_amid_a_listing_is_told(self) -> None:
        with pytest.raises(ContainerNotFound):
            self.keys(in_turn(self.FIRST, Reply(404, body=document("NoSuchBucket"))), listing_parallelism=1)
