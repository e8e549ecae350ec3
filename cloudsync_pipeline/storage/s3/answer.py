"""What the headers of a HEAD or GET say of an object.

Amazon S3 API Reference, "HeadObject" and "GetObject".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cloudsync_pipeline.core.errors import BadAnswer
from cloudsync_pipeline.core.fingerprint import Fingerprint, md5_in_etag
from cloudsync_pipeline.core.records import StorageObject
from cloudsync_pipeline.storage.s3.vendors import Vendor
from cloudsync_pipeline.transport.failures import http_date
from cloudsync_pipeline.transport.fetching import Answer

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an object: from byte `start`, `length` bytes or all that follow.

    Raises:
        ValueError: `start` is negative, or `length` less than 1.
    """

    start: int = 0
    length: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.length is not None and self.length < 1):
            raise ValueError(f"no part of an object: start {self.start}, length {self.length}")

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.length is None

    def headers(self) -> dict[str, str]:
        if self.whole:
            return {}
        last = "" if self.length is None else str(self.start + self.length - 1)
        return {"Range": f"bytes={self.start}-{last}"}

    def bytes_of(self, size: int) -> int:
        """How many bytes of an object of `size` bytes it takes in."""
        rest = max(0, size - self.start)
        return rest if self.length is None else min(rest, self.length)


def described(headers: Mapping[str, str], key: str, observed_at: datetime, vendor: Vendor) -> StorageObject:
    """The object that the headers of a 200 or 206 tell of.

    Args:
        key: escaped, relative to the storage's prefix.
        observed_at: when it was asked for, by the storage's clock.

    Raises:
        BadAnswer: they lack size or ETag.
    """
    etag = headers.get("ETag", "").strip('"')
    size = _size(headers)
    if size is None or not etag:
        raise BadAnswer("the storage's answer has no size or no ETag", key=key, remedy="Check the endpoint.")
    version = headers.get("x-amz-version-id")
    return StorageObject(
        key=key,
        size=size,
        etag=etag,
        last_modified=http_date(headers.get("Last-Modified")),
        observed_at=observed_at,
        version_id=None if version == "null" else version,
        storage_class=headers.get("x-amz-storage-class"),
        content_type=headers.get("Content-Type"),
        fingerprint=_fingerprint(etag, size, headers, vendor),
    )


def _size(headers: Mapping[str, str]) -> int | None:
    part = _CONTENT_RANGE.fullmatch(headers.get("Content-Range") or "")
    if part:
        return int(part[3])
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _fingerprint(etag: str, size: int, headers: Mapping[str, str], vendor: Vendor) -> Fingerprint | None:
    md5 = md5_in_etag(etag)
    if md5 is None or not vendor.md5_etag:
        return None
    encryption = headers.get("x-amz-server-side-encryption")
    plain = encryption is None or (encryption == "AES256" and vendor.md5_under_sse_s3)
    if not plain or "x-amz-server-side-encryption-customer-algorithm" in headers:
        return None
    return Fingerprint("md5", md5, size)


def span_of(response: Answer, span: Span, size: int, key: str) -> int:
    """How many bytes the body of a 200 or 206 has to have.

    Raises:
        BadAnswer: it is another part than the one asked for.
    """
    expected = span.bytes_of(size)
    part = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range") or "")
    if response.status == 200:
        # Also for a range that takes in everything: a server may then leave it unmentioned.
        fits = span.start == 0 and expected == size
    else:
        fits = part is not None and (int(part[1]), int(part[2])) == (span.start, span.start + expected - 1)
    if not fits:
        raise BadAnswer("the storage sent another part of the object than the one asked for", key=key)
    return expected
