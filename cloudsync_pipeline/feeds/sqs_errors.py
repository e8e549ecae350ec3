"""What SQS and botocore refuse or fail with, to `core.errors`.

Amazon SQS API Reference, "Common errors" and each action's own; botocore's exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ConfigError,
    ContainerNotFound,
    RemoteError,
    Throttled,
    TlsFailed,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.transport.failures import retry_after, status_error

_KEYS = "Check access_key and secret_key of the feed."
_RENEW = "Get new temporary credentials."
_PERMIT = (
    "Allow sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the queue, "
    "and kms:Decrypt with its key if it is encrypted."
)
_QUEUE = "Check queue_url: its region, its account and its name."
_CLOCK = "Set this machine's clock (NTP): it is too far from Amazon's."

_CODES: Mapping[str, tuple[type[RemoteError], str | None]] = {
    "NonExistentQueue": (ContainerNotFound, _QUEUE),
    "QueueDoesNotExist": (ContainerNotFound, _QUEUE),
    "QueueDeletedRecently": (ContainerNotFound, _QUEUE),
    "InvalidAddress": (ContainerNotFound, _QUEUE),
    "AccessDenied": (AccessDenied, _PERMIT),
    "AccessDeniedException": (AccessDenied, _PERMIT),
    "NotAuthorized": (AccessDenied, _PERMIT),
    "KmsAccessDenied": (AccessDenied, _PERMIT),
    "KmsDisabled": (AccessDenied, "Enable the key that the queue is encrypted with."),
    "KmsInvalidState": (AccessDenied, "Check the state of the key that the queue is encrypted with."),
    "KmsNotFound": (AccessDenied, "The key that the queue is encrypted with is gone; give the queue another one."),
    "InvalidSecurity": (AccessDenied, _KEYS),
    "InvalidAccessKeyId": (AccessDenied, _KEYS),
    "InvalidClientTokenId": (AccessDenied, _KEYS),
    "UnrecognizedClientException": (AccessDenied, _KEYS),
    "MissingAuthenticationToken": (AccessDenied, _KEYS),
    "IncompleteSignature": (AccessDenied, _KEYS),
    "SignatureDoesNotMatch": (AccessDenied, _KEYS),
    "InvalidSignatureException": (AccessDenied, _KEYS),
    "OptInRequired": (AccessDenied, "The account is not signed up for SQS; ask its owner."),
    "ExpiredToken": (AccessDenied, _RENEW),
    "ExpiredTokenException": (AccessDenied, _RENEW),
    "RequestExpired": (AccessDenied, _CLOCK),
    "RequestThrottled": (Throttled, None),
    "Throttling": (Throttled, None),
    "ThrottlingException": (Throttled, None),
    "ThrottledException": (Throttled, None),
    "TooManyRequestsException": (Throttled, None),
    "RequestLimitExceeded": (Throttled, None),
    "KmsThrottled": (Throttled, None),
    # Too many messages are received and not deleted; they come back when their visibility timeout is over.
    "OverLimit": (Throttled, "Let nothing else read the queue, or wait for its visibility timeout."),
    "ServiceUnavailable": (Unavailable, None),
    "InternalError": (Unavailable, None),
    "InternalFailure": (Unavailable, None),
}

MAPPED_CODES = frozenset(_CODES)
"""Every code with a meaning of its own here, without its namespace; any other goes by its HTTP status."""

_CREDENTIALS = "Configure access_key and secret_key of the feed, name a profile, or give the process a role."

# Most specific first.
_FAILURES: tuple[tuple[type[BotoCoreError], type[CloudSyncError], str, str | None], ...] = (
    (boto.NoCredentialsError, AccessDenied, "no AWS credentials were found", _CREDENTIALS),
    (boto.PartialCredentialsError, ConfigError, "half a pair of AWS credentials was found", _CREDENTIALS),
    (boto.ProfileNotFound, ConfigError, "the AWS profile does not exist", "Name one that exists."),
    (boto.CredentialRetrievalError, AccessDenied, "the AWS credentials could not be had or renewed", _RENEW),
    (boto.TokenRetrievalError, AccessDenied, "the AWS credentials could not be renewed", "Sign in: `aws sso login`."),
    (boto.SSOError, AccessDenied, "the AWS credentials could not be renewed", "Sign in: `aws sso login`."),
    (boto.MetadataRetrievalError, Unreachable, "the service that gives the AWS credentials does not answer", None),
    (boto.NoRegionError, ConfigError, "the queue's region is not known", "Set region."),
    (boto.InvalidRegionError, ConfigError, "the queue's region is none", "Check region."),
    (boto.SSLError, TlsFailed, "no trusted TLS connection", "Check ca_file, and that the port speaks TLS."),
    (boto.ProxyConnectionError, Unreachable, "the proxy does not answer", "Check HTTPS_PROXY, or set NO_PROXY."),
    (boto.ConnectTimeoutError, Unreachable, "no connection within the connect timeout", "Check address and firewall."),
    (boto.ReadTimeoutError, Unreachable, "it went silent for longer than the read timeout", None),
    (boto.ConnectionError, Unreachable, "no connection", "Check the address, and this machine's DNS and firewall."),
    (boto.HTTPClientError, Unreachable, "the connection broke", None),
)


def sqs_error(error: ClientError | BotoCoreError, *, what: str) -> CloudSyncError:
    """The `core` error for what a call ended with.

    Args:
        error: as botocore raised it. Its text is not shown: that of a refused signature holds the session token.
        what: the call in words, such as "receiving from queue https://...".
    """
    if isinstance(error, ClientError):
        return _refusal(error, what)
    for kind, ours, why, remedy in _FAILURES:
        if isinstance(error, kind):
            return ours(f"{what}: {why}", remedy=remedy)
    # What is left is about answers that botocore cannot read.
    return BadAnswer(f"{what}: the answer cannot be used ({type(error).__name__})", remedy="Check the address.")


def _refusal(error: ClientError, what: str) -> RemoteError:
    metadata = error.response.get("ResponseMetadata", {})
    status, headers = metadata.get("HTTPStatusCode", 0), metadata.get("HTTPHeaders", {})
    full = str(error.response.get("Error", {}).get("Code", ""))
    code = full.rpartition(".")[2].rpartition("#")[2]
    if code in _CODES:
        kind, remedy = _CODES[code]
        return kind(f"{what}: {code}", remedy=remedy, retry_after=_wait(headers))
    return status_error(status, what=what, detail=code if code.isidentifier() else "", headers=headers)


def _wait(headers: Mapping[str, str]) -> float | None:
    return retry_after({"Retry-After": headers.get("retry-after", ""), "Date": headers.get("date", "")})
