"""AWS Signature Version 4 of requests.

Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". The path is signed as it is sent:
for S3 it is not normalized, and each byte outside the unreserved characters is percent-encoded once.
The signer is our own: botocore's takes five times as long a request, and half a second to import. A test holds it to
botocore's answers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cloudsync_pipeline.transport.aws_keys import AwsCredentials, KeyRing, Keys

__all__ = ["EMPTY_PAYLOAD", "UNSIGNED_PAYLOAD", "AwsCredentials", "Signer"]

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_PAYLOAD = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes: what a request without a body is signed with."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Signer:
    """Signs requests of one service in one region.

    Args:
        service: as in the credential scope, such as "s3".
        clock: the time now, UTC.
    """

    def __init__(
        self,
        credentials: AwsCredentials,
        *,
        region: str,
        service: str = "s3",
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.region = region
        self._service = service
        self._clock = clock
        self._keys = None if credentials.anonymous else KeyRing(credentials)
        self._signing_key: tuple[Keys, str, bytes] | None = None

    async def sign(
        self, method: str, url: str, headers: dict[str, str], *, payload: str = EMPTY_PAYLOAD
    ) -> dict[str, str]:
        """The headers to send: those given and the signature's.

        Args:
            url: absolute, percent-encoded, exactly as it will be sent.
            headers: those to be signed; whatever a proxy on the way may change must be added afterwards.
            payload: the body's SHA-256 in hexadecimal, or `UNSIGNED_PAYLOAD`.

        Raises:
            AccessDenied: no credentials were found, or they could not be renewed.
            ConfigError: the profile does not exist or holds half a pair of keys.
            Unreachable: the service that gives the credentials does not answer.
        """
        if self._keys is None:
            return dict(headers)
        keys = await self._keys.now()
        moment = self._clock().strftime("%Y%m%dT%H%M%SZ")
        sent = {**headers, "X-Amz-Content-SHA256": payload, "X-Amz-Date": moment}
        if keys.session_token is not None:
            sent["X-Amz-Security-Token"] = keys.session_token
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].removesuffix(_DEFAULT_PORTS.get(parts.scheme, "?"))
        signed = {"host": host, **{name.lower(): " ".join(value.split()) for name, value in sent.items()}}
        names = sorted(signed)
        listed = ";".join(names)
        canonical = "\n".join(
            (
                method,
                parts.path or "/",
                _canonical_query(parts.query),
                *(f"{name}:{signed[name]}" for name in names),
                "",
                listed,
                payload,
            )
        )
        day = moment[:8]
        scope = f"{day}/{self.region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = _hmac(self._key_of(keys, day), to_sign).hex()
        sent["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return sent

    def _key_of(self, keys: Keys, day: str) -> bytes:
        """The day's signing key; it is the same for every request of that day."""
        known = self._signing_key
        if known is not None and known[0] is keys and known[1] == day:
            return known[2]
        key = f"AWS4{keys.secret_key}".encode()
        for part in (day, self.region, self._service, "aws4_request"):
            key = _hmac(key, part)
        self._signing_key = (keys, day, key)
        return key


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = (part.partition("=") for part in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in pairs))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
