"""What an S3 server's refusal means: its error codes to `core.errors`.

Amazon S3 API Reference, "Error Responses"; the codes of other vendors are named where they are theirs.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    ContainerNotFound,
    NotFound,
    PreconditionFailed,
    Rejected,
    RemoteError,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.transport.failures import retry_after, status_error

_KEYS = "Check access_key and secret_key, and that they belong to this storage."
_RENEW = "Get new temporary credentials."
_PERMIT = "Allow s3:ListBucket on the bucket and s3:GetObject on its objects, or check the bucket's policy."

_CODES: Mapping[str, tuple[type[RemoteError], str | None]] = {
    "AccessDenied": (AccessDenied, _PERMIT),
    "AllAccessDisabled": (AccessDenied, "The vendor has closed this bucket; ask its owner."),
    "AccountProblem": (AccessDenied, "The vendor has closed this account; ask its owner."),
    "NotSignedUp": (AccessDenied, "The account is not signed up for storage; ask its owner."),
    "InvalidAccessKeyId": (AccessDenied, _KEYS),
    "SignatureDoesNotMatch": (AccessDenied, _KEYS),
    "InvalidSecurity": (AccessDenied, _KEYS),
    "Unauthorized": (AccessDenied, _KEYS),
    "ExpiredToken": (AccessDenied, _RENEW),
    "TokenRefreshRequired": (AccessDenied, _RENEW),
    "InvalidToken": (AccessDenied, _RENEW),
    "RequestTimeTooSkewed": (AccessDenied, "Set this machine's clock (NTP): it is too far from the storage's."),
    "RequestExpired": (AccessDenied, "Set this machine's clock (NTP): it is too far from the storage's."),
    "NoSuchKey": (NotFound, None),
    "NoSuchVersion": (NotFound, None),
    "NoSuchBucket": (ContainerNotFound, "Check the bucket's name and the endpoint."),
    "PreconditionFailed": (PreconditionFailed, None),
    "InvalidObjectState": (Rejected, "The object is archived; restore it first."),
    "InvalidRange": (Rejected, None),
    "InvalidBucketName": (Rejected, "Check the bucket's name."),
    "KeyTooLongError": (Rejected, None),
    "InvalidArgument": (Rejected, None),
    "NotImplemented": (Rejected, "The storage lacks a call that is needed."),
    "SlowDown": (Throttled, None),
    "RequestLimitExceeded": (Throttled, None),
    "TooManyRequests": (Throttled, None),
    "Throttling": (Throttled, None),
    "ThrottlingException": (Throttled, None),
    "BandwidthLimitExceeded": (Throttled, None),
    # Amazon S3 says "Please reduce your request rate" with it.
    "ServiceUnavailable": (Throttled, None),
    "InternalError": (Unavailable, None),
    "OperationAborted": (Unavailable, None),
    "ServerNotInitialized": (Unavailable, None),
    "RequestTimeout": (Unreachable, None),
}

_WRONG_REGION = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "Redirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    }
)

MAPPED_CODES = frozenset(_CODES) | _WRONG_REGION
"""Every code with a meaning of its own here; any other goes by its HTTP status."""


@dataclass(frozen=True, slots=True)
class S3Error:
    """An `<Error>` document."""

    code: str
    message: str = ""
    region: str | None = None


_CODE = re.compile(rb"<Error>\s*<Code>([A-Za-z0-9]+)</Code>")


def parse_error(body: bytes) -> S3Error | None:
    """The error in a body, or None where it is no S3 error document (a proxy's page, nothing at all)."""
    try:
        root = ET.fromstring(body) if b"<!DOCTYPE" not in body else None  # noqa: S314 - entities need a DOCTYPE
    except ET.ParseError:
        return _unparsable(body)
    if root is None or root.tag.rpartition("}")[2] != "Error":
        return None
    found = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in root}
    if not found.get("Code"):
        return None
    return S3Error(found["Code"], found.get("Message", ""), found.get("Region") or None)


def _unparsable(body: bytes) -> S3Error | None:
    """The code of an error document that names a key which XML 1.0 cannot hold (a control character)."""
    found = _CODE.search(body)
    return S3Error(found[1].decode("ascii"), "", None) if found else None


def s3_error(status: int, body: bytes, headers: Mapping[str, str], *, what: str, key: str | None = None) -> RemoteError:
    """The `core` error for an answer that is no success.

    A 404 without an S3 error document is none of a key: some proxy said it, and absence is not known.

    Args:
        what: the call in words, such as "reading an object of bucket 'b'".
        key: escaped key, if it concerns one.
    """
    error = parse_error(body)
    region = (error.region if error else None) or headers.get("x-amz-bucket-region")
    if (error and error.code in _WRONG_REGION and region) or status in (301, 307):
        return Rejected(
            f"{what}: the bucket is in another region" + (f", {region}" if region else ""),
            key=key,
            remedy=f"Set region to {region}."
            if region
            else "Set the bucket's region, or the endpoint that it redirects to.",
        )
    if error is None:
        if headers.get("x-amz-delete-marker") == "true" and status in (404, 405):
            return NotFound(f"{what}: it was deleted", key=key)
        if status == 503:
            return Throttled(f"{what}: HTTP 503", key=key, retry_after=retry_after(headers))
        if status in (404, 405, 410):
            return BadAnswer(
                f"{what}: HTTP {status} without an S3 error; this is no S3 server, or a proxy answered for it",
                key=key,
                remedy="Check the endpoint.",
            )
        return status_error(status, what=what, key=key, headers=headers)
    if error.code not in _CODES:
        if headers.get("x-amz-delete-marker") == "true" and status == 405:
            return NotFound(f"{what}: it was deleted", key=key)
        return status_error(status, what=what, key=key, detail=f"{error.code}: {error.message}", headers=headers)
    kind, remedy = _CODES[error.code]
    return kind(f"{what}: {error.code}", key=key, remedy=remedy, retry_after=retry_after(headers))
