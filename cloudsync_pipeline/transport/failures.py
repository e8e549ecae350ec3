"""What goes wrong on a connection, and what a server's status says, as `core.errors`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Self

from yarl import URL

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
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


@dataclass(frozen=True, slots=True)
class Other:
    """The other side of a connection, and our errors for what becomes of it; no error is raised here, only made.

    Attributes:
        who: in words, such as "the storage".
        where: the same with its address; see `shown`.
        tls: it is spoken to by TLS.
    """

    who: str
    where: str
    tls: bool

    @classmethod
    def at(cls, who: str, url: URL) -> Self:
        return cls(who, f"{who} at {shown(url)}", url.scheme == "https")

    def unresolved(self, key: str | None) -> Unreachable:
        return Unreachable(
            f"the host name of {self.where} cannot be resolved",
            key=key,
            remedy="Check the name, and this machine's DNS.",
        )

    def no_connection_in_time(self, key: str | None) -> Unreachable:
        return Unreachable(f"no connection to {self.where} within the connect timeout", key=key, remedy=_CHECK_ADDRESS)

    def no_connection(self, error: OSError, key: str | None) -> Unreachable:
        hint = self._hint if isinstance(error, ConnectionResetError) else None
        return Unreachable(f"no connection to {self.where}: {reason(error)}", key=key, remedy=hint or _CHECK_ADDRESS)

    def silent(self, key: str | None) -> Unreachable:
        return Unreachable(f"{self.where} went silent for longer than the read timeout", key=key)

    def no_answer(self, key: str | None) -> Unreachable:
        return Unreachable(f"{self.where} closed the connection without an answer", key=key, remedy=self._hint)

    def broke(self, error: BaseException, key: str | None) -> Unreachable:
        return Unreachable(f"the connection to {self.where} broke: {reason(error)}", key=key)

    def broke_while_read(self, key: str | None) -> Unreachable:
        return Unreachable(f"the connection to {self.where} broke while its answer was read", key=key)

    def no_http(self, key: str | None) -> BadAnswer:
        return BadAnswer(f"{self.where} answered something that is not HTTP", key=key)

    def ended_early(self, key: str | None) -> BadAnswer:
        return BadAnswer(f"the answer of {self.where} ended before its announced length", key=key)

    def too_long(self, limit: int, key: str | None) -> BadAnswer:
        return BadAnswer(f"the answer of {self.where} is longer than {limit} bytes", key=key)

    def not_trusted(self, error: BaseException, key: str | None) -> TlsFailed:
        return TlsFailed(
            f"the certificate of {self.where} is not trusted: {reason(error)}",
            key=key,
            remedy="Give the authority that signed it as `ca_file`, or renew it there.",
        )

    def no_tls(self, error: BaseException, key: str | None) -> TlsFailed:
        return TlsFailed(
            f"no TLS connection to {self.where}: {reason(error)}",
            key=key,
            remedy="Check that this port speaks TLS, and the client certificate if the server asks for one.",
        )

    def proxy_refused(self, status: int, key: str | None) -> AccessDenied | Unreachable:
        kind = AccessDenied if status == 407 else Unreachable
        return kind(
            f"the proxy refused the connection to {self.where} (HTTP {status})",
            key=key,
            remedy="Check the proxy's address and credentials in HTTPS_PROXY, or set NO_PROXY.",
        )

    def no_proxy(self, key: str | None) -> Unreachable:
        return Unreachable(f"the proxy on the way to {self.where} does not answer", key=key, remedy=_CHECK_ADDRESS)

    @property
    def _hint(self) -> str | None:
        # Some servers tell in no other way that they miss the certificate.
        return "If it asks for a client certificate, configure one." if self.tls else None


def reason(error: BaseException) -> str:
    """What an error of the operating system or of TLS says, in a few words without addresses."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)  # asyncio's own words hold the address
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
