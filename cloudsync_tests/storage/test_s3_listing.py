"""Pages of ListObjectsV2 are read, or refused as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.storage.base import LISTING_SCHEMA
from cloudsync_pipeline.storage.s3.listing import Page, parse_page, to_batch

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
OBJECT = (
    "<Contents><Key>{key}</Key><LastModified>2026-05-01T10:00:00.000Z</LastModified>"
    "<ETag>&quot;0123&quot;</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def a_page(
    *keys: str,
    more: str = "",
    truncated: str = "<IsTruncated>false</IsTruncated>",
    encoding: str = "url",
    space: str = SPACE,
) -> bytes:
    encoded = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    objects = "".join(OBJECT.format(key=key) for key in keys)
    return f"<ListBucketResult{space}>{encoded}{truncated}{objects}{more}</ListBucketResult>".encode()


def parsed(body: bytes, prefix: str = "") -> Page:
    return parse_page(body, prefix=prefix, observed_at=NOON)


def rows(body: bytes) -> list[dict[str, Any]]:
    batch = to_batch(parsed(body), root="")
    assert batch is not None
    return batch.to_pylist()


@pytest.mark.parametrize("space", [SPACE, ""])
def test_an_object_is_read_with_all_that_is_told_of_it(space: str) -> None:
    (row,) = rows(a_page("a/b", space=space))

    assert (row["key"], row["size"], row["etag"], row["storage_class"]) == ("a/b", 5, "0123", "STANDARD")
    assert row["last_modified"] == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_objects_that_are_told_of_in_different_ways_are_read_all_the_same() -> None:
    class_ = "<StorageClass>STANDARD</StorageClass>"
    body = a_page("a", "b", "c").replace(class_.encode(), b"", 1).replace(b"<Size>5</Size>", b"", 1)
    body = body.replace(b"<Key>a</Key>", b"<Size>7</Size><Owner><ID>me</ID></Owner><Key>a</Key>")

    found = rows(body)

    assert [(row["key"], row["size"], row["storage_class"]) for row in found] == [
        ("a", 7, None),
        ("b", 5, "STANDARD"),
        ("c", 5, "STANDARD"),
    ]


@pytest.mark.parametrize("written", ["2026-05-01T10:00:00Z", "2026-05-01T10:00:00", "2026-05-01T12:00:00+02:00"])
def test_a_time_is_read_however_it_is_written(written: str) -> None:
    body = a_page("a", "b").replace(b"2026-05-01T10:00:00.000Z", written.encode(), 1)

    assert [row["last_modified"] for row in rows(body)] == [datetime(2026, 5, 1, 10, tzinfo=UTC)] * 2


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%252Fb", "a%2Fb"),
        ("a%2Fb", "a/b"),
        ("tab%09", "tab\t"),
        ("caf%C3%A9", "caf\u00e9"),
        ("%00", "\x1a00"),
        ("bad%FF", "bad\x1aff"),
        ("%1A", "\x1a1a"),
    ],
)
def test_encoded_keys_are_decoded_and_escaped(sent: str, key: str) -> None:
    assert parsed(a_page(sent)).keys[0] == key


def test_keys_are_taken_as_they_are_where_the_server_does_not_encode() -> None:
    assert parsed(a_page("100%+a&amp;b", encoding="")).keys[0] == "100%+a&b"


def test_common_prefixes_are_read() -> None:
    page = parsed(a_page(more="<CommonPrefixes><Prefix>a%2Bb/</Prefix></CommonPrefixes>"))

    assert page.prefixes == ["a+b/"]


def test_the_next_token_is_read() -> None:
    truncated = "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=</NextContinuationToken>"

    assert parsed(a_page("a", truncated=truncated)).next_token == "a+b/="
    assert parsed(a_page("a")).next_token is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (a_page("a")[:-30], "complete XML"),
        (b"", "complete XML"),
        (b"<html><body>Sign in</body></html>", "'html'"),
        (b"<Error><Code>SlowDown</Code></Error>", "'Error'"),
        (a_page("a", truncated=""), "whether it is the last"),
        (a_page("a", truncated="<IsTruncated>true</IsTruncated>"), "how to ask"),
        (a_page("").replace(b"<Key></Key>", b""), "no key"),
        (a_page("a").replace(b"<Size>5</Size>", b""), "no size"),
        (a_page("a").replace(b"<Size>5</Size>", b"<Size>-5</Size>"), "no size"),
        (a_page("a").replace(b"&quot;0123&quot;", b""), "no ETag"),
        (b'<!DOCTYPE x [<!ENTITY e "x">]>' + a_page("a"), "document type"),
        (a_page("raw\x01", encoding=""), "complete XML"),
    ],
)
def test_what_is_no_whole_page_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        parsed(body)


def test_a_key_outside_of_the_prefix_is_refused() -> None:
    with pytest.raises(BadAnswer, match="'b/1'"):
        parsed(a_page("a/1", "b/1"), prefix="a/")


def test_a_time_that_cannot_be_read_is_unknown() -> None:
    body = a_page("a").replace(b"2026-05-01T10:00:00.000Z", b"yesterday")

    assert rows(body)[0]["last_modified"] is None


def test_rows_have_keys_below_the_root_and_the_moment_of_the_request() -> None:
    batch = to_batch(parsed(a_page("team/", "team/a", "team/b/c"), prefix="team/"), root="team/")

    assert batch is not None
    assert batch.schema == LISTING_SCHEMA
    assert batch.column("key").to_pylist() == ["a", "b/c"]
    assert batch.column("observed_at").to_pylist() == [NOON, NOON]


def test_a_page_without_objects_gives_no_rows() -> None:
    assert to_batch(parsed(a_page()), root="") is None
    assert to_batch(parsed(a_page("team/"), prefix="team/"), root="team/") is None
