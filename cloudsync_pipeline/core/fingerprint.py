"""The one definition of "same content".

Content kinds are digests of the bytes. An ETag is not one: it is a version label that happens to be
an MD5 for some providers and some uploads (Amazon S3 User Guide, "Checking object integrity").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTENT_KINDS = frozenset({"md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme", "quickxor", "dropbox"})
"""Kinds that are derived from the bytes alone, so that equal values mean equal content."""

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A digest of some content.

    Attributes:
        kind: one of `CONTENT_KINDS`.
        value: lowercase hexadecimal.
        size: bytes.
    """

    kind: str
    value: str
    size: int

    def __post_init__(self) -> None:
        if self.kind not in CONTENT_KINDS:
            raise ValueError(f"{self.kind!r} is not derived from content")


def md5_in_etag(etag: str) -> str | None:
    """The MD5 that an ETag may be, or None where its form rules that out (multipart, opaque).

    Only a candidate: it counts once the provider is known to do so and the object's own headers show
    neither SSE-KMS nor SSE-C.
    """
    bare = etag.removeprefix("W/").strip('"').lower()
    return bare if _MD5.fullmatch(bare) else None
