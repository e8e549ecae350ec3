"""What SQS and botocore fail with comes as errors of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ConfigError,
    ContainerNotFound,
    Rejected,
    Throttled,
    TlsFailed,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_pipeline.feeds.sqs import SqsFeed
from cloudsync_pipeline.feeds.sqs_client import SqsSettings
from cloudsync_pipeline.feeds.sqs_errors import MAPPED_CODES, sqs_error
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.sigv4 import AwsCredentials

WHAT = "receiving from queue https://sqs.eu-central-1.amazonaws.com/1/q"
AMAZON = "https://sqs.eu-central-1.amazonaws.com/1/q"


def refused(code: str, status: int = 400, headers: dict[str, str] | None = None) -> CloudSyncError:
    response: Any = {
        "Error": {"Code": code, "Message": "the canonical string with its token s3same"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return sqs_error(ClientError(response, "ReceiveMessage"), what=WHAT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", ContainerNotFound),
        ("QueueDoesNotExist", ContainerNotFound),
        ("AccessDenied", AccessDenied),
        ("AccessDeniedException", AccessDenied),
        ("KMS.AccessDeniedException", AccessDenied),
        ("InvalidClientTokenId", AccessDenied),
        ("SignatureDoesNotMatch", AccessDenied),
        ("ExpiredToken", AccessDenied),
        ("RequestThrottled", Throttled),
        ("OverLimit", Throttled),
        ("InternalError", Unavailable),
    ],
)
def test_a_code_has_its_meaning(code: str, kind: type[CloudSyncError]) -> None:
    error = refused(code)
    assert type(error) is kind
    assert WHAT in str(error)
    assert "s3same" not in str(error)


@pytest.mark.parametrize("code", sorted(MAPPED_CODES))
def test_what_will_be_refused_again_says_what_to_do(code: str) -> None:
    error = refused(code)
    assert error.retryable or error.remedy


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Rejected), (403, AccessDenied), (429, Throttled), (500, Unavailable)]
)
def test_an_unknown_code_goes_by_its_status(status: int, kind: type[CloudSyncError]) -> None:
    error = refused("Invented", status)
    assert type(error) is kind
    assert "Invented" in str(error)
    assert "s3same" not in str(error)


def test_how_long_to_wait_is_kept() -> None:
    assert refused("RequestThrottled", headers={"retry-after": "7"}).retry_after == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.NoCredentialsError(), AccessDenied),
        (boto.PartialCredentialsError(provider="env", cred_var="s3same"), ConfigError),
        (boto.ProfileNotFound(profile="nobody"), ConfigError),
        (boto.CredentialRetrievalError(provider="p", error_msg="s3same"), AccessDenied),
        (boto.UnauthorizedSSOTokenError(), AccessDenied),
        (boto.NoRegionError(), ConfigError),
        (boto.SSLError(endpoint_url=AMAZON, error=OSError()), TlsFailed),
        (boto.ProxyConnectionError(proxy_url="http://user:s3same@proxy", error="e"), Unreachable),
        (boto.ConnectTimeoutError(endpoint_url=AMAZON), Unreachable),
        (boto.ReadTimeoutError(endpoint_url=AMAZON), Unreachable),
        (boto.EndpointConnectionError(endpoint_url=AMAZON), Unreachable),
        (boto.ConnectionClosedError(endpoint_url=AMAZON), Unreachable),
        (boto.HTTPClientError(error="e"), Unreachable),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), BadAnswer),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BotoCoreError) else "",
)
def test_every_failure_of_botocore_is_ours(error: BotoCoreError, kind: type[CloudSyncError]) -> None:
    ours = sqs_error(error, what=WHAT)
    assert type(ours) is kind
    assert "s3same" not in str(ours)
    assert ours.retryable or ours.remedy


def health(**settings: Any) -> None:
    async def scenario() -> None:
        async with SqsFeed(SqsSettings(**settings), Scope()) as feed:
            await feed.health()

    asyncio.run(scenario())


def test_a_profile_that_does_not_exist_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(ConfigError, match="profile does not exist"):
        health(queue_url=AMAZON, credentials=AwsCredentials(profile="nobody"))


def test_a_missing_ca_file_is_a_configuration_error(tmp_path: Path) -> None:
    http = HttpSettings(ca_file=str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match=r"ca_file .*missing\.pem"):
        health(queue_url=AMAZON, credentials=AwsCredentials("key", "secret"), http=http)
