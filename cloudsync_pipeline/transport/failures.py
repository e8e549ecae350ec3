"""Foreign errors and status codes to `core.errors`: what aiohttp, the operating system or a server says."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

import aiohttp
from yarl import URL

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ConfigError,
    NotFound,
    PreconditionFailed,
    Rejected,
    RemoteError,
    StorageFull,
    Throttled,
    TlsFailed,
    Unavailable,
    Unreachable,
)

_CHECK_ADDRESS = "Check the address, the port, and that a firewall or proxy lets this machine through."


@lru_cache(maxsize=1024)  # `Date` is the same for all answers of a second, `Last-Modified` for many
def http_date(text: str | None) -> datetime | None:
    """An HTTP-date (RFC 9110, section 5.6.7) as an aware UTC time, or None where it is absent or unreadable."""
    return _parsed(text) if text else None


@lru_cache(maxsize=256)
def _parsed(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` asks to wait, in either of its forms (RFC 9110, section 10.2.3).

    A date is measured from the answer's own `Date`, so that a wrong clock here does not matter; else from `now`.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = http_date(text)
    if until is None:
        return None
    since = http_date(headers.get("Date")) or now or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds())


def shown(url: URL) -> str:
    """A URL for people: without user, password, query and fragment, any of which may hold a secret."""
    port = "" if url.explicit_port is None else f":{url.explicit_port}"
    return f"{url.scheme}://{url.host}{port}"


def translated(error: BaseException, *, who: str, url: URL, key: str | None = None) -> CloudSyncError:
    """The `core` error for what aiohttp or the operating system raised while `url` was asked.

    An error of ours that aborted an upload from inside its body comes back as it was.

    Args:
        who: the other side in words, such as "the storage".
    """
    own = _own(error)
    if own is not None:
        return own
    where = f"{who} at {shown(url)}"
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return ConfigError(f"{where} is no usable address", key=key, remedy="Write it as https://host:port.")
    return _tls_failure(error, where, key) or _proxy_failure(error, where, key) or _broken(error, where, url, key)


def _broken(error: BaseException, where: str, url: URL, key: str | None) -> CloudSyncError:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Unreachable(
            f"the host name of {where} cannot be resolved", key=key, remedy="Check the name, and this machine's DNS."
        )
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Unreachable(f"no connection to {where} within the connect timeout", key=key, remedy=_CHECK_ADDRESS)
    if isinstance(error, TimeoutError):
        return Unreachable(f"{where} went silent for longer than the read timeout", key=key)
    if isinstance(error, aiohttp.ClientConnectorError):
        reset = isinstance(error.os_error, ConnectionResetError)
        remedy = (_hint(url) if reset else None) or _CHECK_ADDRESS
        return Unreachable(f"no connection to {where}: {_reason(error.os_error)}", key=key, remedy=remedy)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _broken_body(error, where, key)
    if isinstance(error, aiohttp.ClientResponseError):
        return BadAnswer(f"{where} answered something that is not HTTP", key=key)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Unreachable(f"{where} closed the connection without an answer", key=key, remedy=_hint(url))
    return Unreachable(f"the connection to {where} broke: {_reason(error)}", key=key)


def _hint(url: URL) -> str | None:
    # Some servers tell in no other way that they miss the certificate.
    return "If it asks for a client certificate, configure one." if url.scheme == "https" else None


def _tls_failure(error: BaseException, where: str, key: str | None) -> CloudSyncError | None:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TlsFailed(
            f"the certificate of {where} is not trusted: {_reason(error.certificate_error)}",
            key=key,
            remedy="Give the authority that signed it as `ca_file`, or renew it there.",
        )
    tls = _tls_error(error)
    if tls is None:
        return None
    return TlsFailed(
        f"no TLS connection to {where}: {_reason(tls)}",
        key=key,
        remedy="Check that this port speaks TLS, and the client certificate if the server asks for one.",
    )


def _proxy_failure(error: BaseException, where: str, key: str | None) -> CloudSyncError | None:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        kind = AccessDenied if error.status == 407 else Unreachable
        return kind(
            f"the proxy refused the connection to {where} (HTTP {error.status})",
            key=key,
            remedy="Check the proxy's address and credentials in HTTPS_PROXY, or set NO_PROXY.",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Unreachable(f"the proxy on the way to {where} does not answer", key=key, remedy=_CHECK_ADDRESS)
    return None


def _own(error: BaseException) -> CloudSyncError | None:
    """aiohttp wraps what an upload's body raises in a connection error; look underneath."""
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None or isinstance(cause, CloudSyncError):
            return cause
        cause = cause.__cause__
    return None


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    # A refused client certificate shows only on the first read (TLS 1.3), as an SSLError under a connection error.
    for candidate in (error, error.__cause__, error.__context__, getattr(error, "os_error", None)):
        if isinstance(candidate, ssl.SSLError):
            return candidate
    return None


def _broken_body(error: aiohttp.ClientPayloadError, where: str, key: str | None) -> CloudSyncError:
    # aiohttp tells a reset from an early end only by appending the operating system's error to its message.
    if "ConnectionResetError" in str(error) or "ClientOSError" in str(error):
        return Unreachable(f"the connection to {where} broke while its answer was read", key=key)
    return BadAnswer(f"the answer of {where} ended before its announced length", key=key)


def _reason(error: BaseException) -> str:
    for attribute in ("verify_message", "reason", "strerror"):
        text = getattr(error, attribute, None)
        if isinstance(text, str) and text:
            return text
    return type(error).__name__


def status_error(
    status: int,
    *,
    what: str,
    key: str | None = None,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
) -> RemoteError:
    """The `core` error for an HTTP status that is no success, by RFC 9110 alone; adapters look at their codes first.

    Args:
        what: who answered to what, in words, such as "the file manager's answer to create".
        detail: the server's own words, already free of secrets; only the first 200 characters are kept.
        headers: of the answer, for `Retry-After`.
    """
    told = " ".join(detail.split())[:200]
    message = f"{what}: HTTP {status}" + (f" ({told})" if told else "")
    wait = retry_after(headers) if headers is not None else None
    if 300 <= status < 400:
        return Rejected(
            message, key=key, remedy="Configure the address that it redirects to; redirects are not followed."
        )
    if status in (401, 403, 407):
        return AccessDenied(message, key=key, remedy="Check the credentials and what they permit.")
    if status in (404, 410):
        return NotFound(message, key=key)
    if status == 412:
        return PreconditionFailed(message, key=key)
    if status == 429:
        return Throttled(message, key=key, retry_after=wait)
    if status == 507:
        return StorageFull(message, key=key, remedy="Make room there.", retry_after=wait)
    if status == 503 and wait is not None:
        return Throttled(message, key=key, retry_after=wait)
    if status in (408, 425) or 500 <= status < 600:
        return Unavailable(message, key=key, retry_after=wait)
    if 400 <= status < 500:
        return Rejected(message, key=key)
    return BadAnswer(message, key=key)
