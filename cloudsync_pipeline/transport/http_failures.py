"""What aiohttp raises, as `core.errors`."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError
from cloudsync_pipeline.transport.failures import Other


def translated(error: BaseException, *, who: str, url: URL, key: str | None = None) -> CloudSyncError:
    """The `core` error for what aiohttp or the operating system raised while `url` was asked.

    An error of ours that aborted an upload from inside its body comes back as it was.

    Args:
        who: the other side in words, such as "the storage".
    """
    own = _own(error)
    if own is not None:
        return own
    other = Other.at(who, url)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return ConfigError(f"{other.where} is no usable address", key=key, remedy="Write it as https://host:port.")
    return _tls_failure(error, other, key) or _proxy_failure(error, other, key) or _broken(error, other, key)


def _broken(error: BaseException, other: Other, key: str | None) -> CloudSyncError:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return other.unresolved(key)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return other.no_connection_in_time(key)
    if isinstance(error, TimeoutError):
        return other.silent(key)
    if isinstance(error, aiohttp.ClientConnectorError):
        return other.no_connection(error.os_error, key)
    if isinstance(error, aiohttp.ClientPayloadError):
        # aiohttp tells a reset from an early end only by appending the operating system's error to its message.
        reset = "ConnectionResetError" in str(error) or "ClientOSError" in str(error)
        return other.broke_while_read(key) if reset else other.ended_early(key)
    if isinstance(error, aiohttp.ClientResponseError):
        return other.no_http(key)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return other.no_answer(key)
    return other.broke(error, key)


def _tls_failure(error: BaseException, other: Other, key: str | None) -> CloudSyncError | None:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return other.not_trusted(error.certificate_error, key)
    tls = _tls_error(error)
    return None if tls is None else other.no_tls(tls, key)


def _proxy_failure(error: BaseException, other: Other, key: str | None) -> CloudSyncError | None:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return other.proxy_refused(error.status, key)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return other.no_proxy(key)
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
