"""One page of a listing: the XML of ListObjectsV2 to Arrow.

Amazon S3 API Reference, "ListObjectsV2". Keys are asked for url-encoded, because XML 1.0 cannot carry every
character that a key may hold.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.core.keys import escape, escape_bytes
from cloudsync_pipeline.storage.base import LISTING_SCHEMA


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a page; `key` is whole and escaped."""

    key: str
    size: int
    etag: str
    last_modified: datetime | None
    storage_class: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to ListObjectsV2.

    Attributes:
        entries: the objects, keys whole and escaped.
        prefixes: the common prefixes, whole and escaped; empty where no delimiter was asked for.
        next_token: for the next page; None on the last one.
        observed_at: the moment it was requested, by the storage's clock.
    """

    entries: list[Entry]
    prefixes: list[str]
    next_token: str | None
    observed_at: datetime


def parse_page(body: bytes, *, prefix: str, observed_at: datetime) -> Page:
    """Read one page.

    Args:
        prefix: whole and escaped, as asked for.

    Raises:
        BadAnswer: it is no complete, consistent page of a listing of that prefix.
    """
    if b"<!DOCTYPE" in body:
        raise _bad("it declares a document type")
    try:
        root = ET.fromstring(body)  # noqa: S314 - entities need a DOCTYPE, which was refused
    except ET.ParseError as error:
        raise _bad("it is no complete XML") from error
    space, _, name = root.tag.rpartition("}")
    if name != "ListBucketResult":
        raise _bad(f"it is a {name!r} document")
    space = f"{space}}}" if space else ""
    encoded = (root.findtext(f"{space}EncodingType") or "").strip() == "url"
    entries = [_entry(element, space, encoded) for element in root.iterfind(f"{space}Contents")]
    prefixes = [
        _key(element.findtext(f"{space}Prefix"), encoded) for element in root.iterfind(f"{space}CommonPrefixes")
    ]
    for key in (*(entry.key for entry in entries), *prefixes):
        if not key.startswith(prefix):
            raise _bad(f"{key!r} does not begin with the prefix that was asked for")
    return Page(entries, prefixes, _next_token(root, space), observed_at)


def _next_token(root: ET.Element, space: str) -> str | None:
    truncated = (root.findtext(f"{space}IsTruncated") or "").strip().lower()
    if truncated == "false":
        return None
    if truncated != "true":
        raise _bad("it does not say whether it is the last one")
    token = root.findtext(f"{space}NextContinuationToken")
    if not token:
        raise _bad("it says that more follows, but not how to ask for it")
    return token


def _entry(element: ET.Element, space: str, encoded: bool) -> Entry:
    size = element.findtext(f"{space}Size")
    etag = element.findtext(f"{space}ETag")
    if size is None or not size.strip().isdecimal() or not etag:
        raise _bad("an object in it has no size or no ETag")
    return Entry(
        _key(element.findtext(f"{space}Key"), encoded),
        int(size),
        etag.strip().strip('"'),
        _time(element.findtext(f"{space}LastModified")),
        element.findtext(f"{space}StorageClass"),
    )


def _key(text: str | None, encoded: bool) -> str:
    if not text:
        raise _bad("an entry in it has no key")
    # A space comes as "+" from Amazon S3 and as "%20" from others; a plus itself always as "%2B".
    return escape_bytes(unquote_to_bytes(text.replace("+", " "))) if encoded else escape(text)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _bad(why: str) -> BadAnswer:
    return BadAnswer(f"a page of the listing cannot be used: {why}")


def to_batch(page: Page, *, root: str) -> pa.RecordBatch | None:
    """The page's objects as rows, keys relative to `root`; None where there are none.

    The object whose key is the root itself (a "folder" that a browser made) has no name below it and is left out.
    """
    entries = [entry for entry in page.entries if entry.key != root] if root else page.entries
    if not entries:
        return None
    count, cut = len(entries), len(root)
    columns: dict[str, list[object]] = {
        "key": [entry.key[cut:] for entry in entries],
        "size": [entry.size for entry in entries],
        "etag": [entry.etag for entry in entries],
        "last_modified": [entry.last_modified for entry in entries],
        "storage_class": [entry.storage_class for entry in entries],
        "observed_at": [page.observed_at] * count,
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in LISTING_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=LISTING_SCHEMA)
