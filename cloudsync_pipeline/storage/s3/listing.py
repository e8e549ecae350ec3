"""One page of a listing: the XML of ListObjectsV2 to Arrow.

Amazon S3 API Reference, "ListObjectsV2". Keys are asked for url-encoded, because XML 1.0 cannot carry every
character that a key may hold.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.core.keys import escape, escape_bytes
from cloudsync_pipeline.storage.batches import listing_batch, repeated, text_array
from cloudsync_pipeline.storage.s3.entries import cut_out

_BETWEEN = "\n"
_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to ListObjectsV2; its objects column by column, because a bucket has millions.

    Attributes:
        keys: whole and escaped.
        sizes, etags, storage_classes: in the order of the keys.
        modified: times as they were sent.
        prefixes: the common prefixes, whole and escaped; empty where no delimiter was asked for.
        next_token: for the next page; None on the last one.
        observed_at: the moment it was requested, by the storage's clock.
    """

    keys: list[str]
    sizes: list[int]
    etags: list[str]
    modified: list[str | None]
    storage_classes: list[str | None]
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
    root, space, told = _opened(body)
    encoded = (root.findtext(f"{space}EncodingType") or "").strip() == "url"
    keys = _keys(told["Key"], encoded)
    prefixes = _keys(
        [element.findtext(f"{space}Prefix") for element in root.iterfind(f"{space}CommonPrefixes")], encoded
    )
    if prefix:
        for key in (*keys, *prefixes):
            if not key.startswith(prefix):
                raise _bad(f"{key!r} does not begin with the prefix that was asked for")
    return Page(
        keys,
        _sizes(told["Size"]),
        _etags(told["ETag"]),
        told["LastModified"],
        told["StorageClass"],
        prefixes,
        _next_token(root, space),
        observed_at,
    )


_NAMES = ("Key", "Size", "ETag", "LastModified", "StorageClass")
_Columns = dict[str, list[str | None]]


def _opened(body: bytes) -> tuple[ET.Element, str, _Columns]:
    """The page without its objects, its namespace, and the texts of each element of the objects, by name."""
    entries = cut_out(body)
    if entries is not None:
        root, space = _root(entries.rest)
        # What stood elsewhere than right below the root, or in another form beside these, is the parser's.
        if len(root.findall(f"{space}Contents")) == 1:
            missing: list[str | None] = [None] * entries.count
            return root, space, {name: entries.columns.get(name, missing) for name in _NAMES}
    root, space = _root(body)
    objects = root.findall(f"{space}Contents")
    return root, space, {name: [one.findtext(f"{space}{name}") for one in objects] for name in _NAMES}


def _root(page: bytes | str) -> tuple[ET.Element, str]:
    """The page's root, and the namespace of what is in it as ElementTree writes it before a name."""
    try:
        root = ET.fromstring(page)  # noqa: S314 - entities need a DOCTYPE, which was refused
    except ET.ParseError as error:
        raise _bad("it is no complete XML") from error
    space, _, name = root.tag.rpartition("}")
    if name != "ListBucketResult":
        raise _bad(f"it is a {name!r} document")
    return root, f"{space}}}" if space else ""


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


def _sizes(texts: list[str | None]) -> list[int]:
    sizes = [text.strip() if text else "" for text in texts]
    if not all(map(str.isdecimal, sizes)):
        raise _bad("an object in it has no size")
    return list(map(int, sizes))


def _etags(texts: list[str | None]) -> list[str]:
    etags = [text.strip().strip('"') if text else "" for text in texts]
    if not all(etags):
        raise _bad("an object in it has no ETag")
    return etags


def _keys(texts: list[str | None], encoded: bool) -> list[str]:
    sent = [text for text in texts if text]
    if len(sent) != len(texts):
        raise _bad("an entry in it has no key")
    whole = _BETWEEN.join(sent)
    if not encoded or ("%" not in whole and "+" not in whole):
        return sent if escape(whole) == whole else list(map(escape, sent))
    # A space comes as "+" from Amazon S3 and as "%20" from others; a plus itself always as "%2B".
    # All of them are decoded as one text, unless one holds what stands between them.
    keys = _decoded(whole).split(_BETWEEN)
    return keys if len(keys) == len(sent) else list(map(_decoded, sent))


def _decoded(text: str) -> str:
    return escape_bytes(unquote_to_bytes(text.replace("+", " ")))


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
    cut = len(root)
    columns: dict[str, Sequence[Any]] = {
        "key": page.keys,
        "size": page.sizes,
        "etag": page.etags,
        "last_modified": page.modified,
        "storage_class": page.storage_classes,
    }
    if cut and root in page.keys:
        kept = [place for place, key in enumerate(page.keys) if key != root]
        columns = {name: [values[place] for place in kept] for name, values in columns.items()}
    count = len(columns["key"])
    if count == 0:
        return None
    if cut:
        columns["key"] = [key[cut:] for key in columns["key"]]
    arrays = {"last_modified": _times(columns["last_modified"]), "observed_at": repeated(page.observed_at, count)}
    return listing_batch({**columns, **arrays}, count)


def _times(texts: Sequence[str | None]) -> pa.Array[Any] | list[datetime | None]:
    try:
        return text_array(texts).cast(_MOMENT)
    except pa.ArrowInvalid:
        # Another way of writing a time than S3's, or none at all.
        return [_time(text) for text in texts]
