"""AWS Signature Version 4 on requests that aiohttp sends, with botocore's signer and credential chain.

Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". The path is signed as it is sent:
for S3 it is not normalized, and each byte outside the unreserved characters is percent-encoded once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    HTTPClientError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, Unreachable

# At debug level it writes each canonical request, the session token among its headers.
logging.getLogger("botocore.auth").setLevel(logging.INFO)

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_PAYLOAD = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of no bytes: what a request without a body is signed with."""

_GIVE_CREDENTIALS = (
    "Configure access_key and secret_key, name a profile, or give the process a role or the AWS_* variables."
)


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """Where the keys come from: given here, from a named profile, from botocore's chain, or nowhere.

    Attributes:
        access_key, secret_key: both or none.
        session_token: for temporary keys.
        profile: of the shared AWS files; only without keys.
        anonymous: send unsigned requests.

    Raises:
        ConfigError: the combination makes no sense.
    """

    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    anonymous: bool = False

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            missing = "secret_key" if self.access_key else "access_key"
            raise ConfigError(f"{missing} is missing beside its counterpart", remedy=_GIVE_CREDENTIALS)
        if self.session_token and not self.access_key:
            raise ConfigError("session_token stands without access_key and secret_key", remedy=_GIVE_CREDENTIALS)
        if self.profile and self.access_key:
            raise ConfigError("both a profile and an access_key are given", remedy="Keep one of the two.")
        if self.anonymous and (self.access_key or self.profile):
            raise ConfigError("anonymous access is asked for beside credentials", remedy="Keep one of the two.")


class Signer:
    """Signs requests of one service in one region; keys that expire are renewed as they are needed.

    Args:
        service: as in the credential scope, such as "s3".
    """

    def __init__(self, credentials: AwsCredentials, *, region: str, service: str = "s3") -> None:
        self.region = region
        self._given = credentials
        self._service = service
        self._source: Credentials | None = None
        self._loading = asyncio.Lock()

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
        if self._given.anonymous:
            return dict(headers)
        request = AWSRequest(method=method, url=url, headers=headers)
        _Signature(await self._frozen(), self._service, self.region, payload).add_auth(request)
        return dict(request.headers.items())

    async def _frozen(self) -> ReadOnlyCredentials:
        source = self._source
        if source is None or (isinstance(source, RefreshableCredentials) and source.refresh_needed()):
            # One at a time and in a thread: the chain may ask the network.
            async with self._loading:
                return await asyncio.to_thread(self._load)
        return source.get_frozen_credentials()

    def _load(self) -> ReadOnlyCredentials:
        given = self._given
        try:
            if self._source is None:
                self._source = (
                    Credentials(given.access_key, given.secret_key, given.session_token)
                    if given.access_key and given.secret_key
                    else botocore.session.Session(profile=given.profile).get_credentials()
                )
            if self._source is None:
                raise AccessDenied("no AWS credentials were found", remedy=_GIVE_CREDENTIALS)
            return self._source.get_frozen_credentials()
        except (ProfileNotFound, PartialCredentialsError) as error:
            raise ConfigError(f"the AWS credentials cannot be used: {error}", remedy=_GIVE_CREDENTIALS) from error
        except (HTTPClientError, NoConnection) as error:
            raise Unreachable("the service that gives the AWS credentials does not answer") from error
        except BotoCoreError as error:
            raise AccessDenied(
                f"the AWS credentials could not be had or renewed ({type(error).__name__})",
                remedy="Sign in again (`aws sso login`), or check the role and the profile.",
            ) from error


class _Signature(S3SigV4Auth):
    """botocore's, with the payload's hash given instead of computed."""

    def __init__(self, credentials: ReadOnlyCredentials, service: str, region: str, payload: str) -> None:
        super().__init__(credentials, service, region)
        self._payload = payload

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002 - the signature is botocore's
        return self._payload
