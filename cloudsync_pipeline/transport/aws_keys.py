"""Where AWS keys come from: given, or found by botocore's credential chain.

botocore is imported only where its chain is needed: it takes half a second, and most integrations have keys of their
own.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, Unreachable

if TYPE_CHECKING:
    from botocore.credentials import Credentials

# At debug level it writes each canonical request, the session token among its headers.
logging.getLogger("botocore.auth").setLevel(logging.INFO)

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


@dataclass(frozen=True, slots=True)
class Keys:
    """A pair of keys as they are now, and the token of temporary ones."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class KeyRing:
    """The keys that an `AwsCredentials` means; those that expire are renewed as they are needed.

    Args:
        given: not anonymous.
    """

    def __init__(self, given: AwsCredentials) -> None:
        self._given = given
        self._fixed: Keys | None = None
        if given.access_key and given.secret_key:
            self._fixed = Keys(given.access_key, given.secret_key, given.session_token)
        self._source: Credentials | None = None
        self._loading = asyncio.Lock()

    async def now(self) -> Keys:
        """The keys to sign with now.

        Raises:
            AccessDenied: no credentials were found, or they could not be renewed.
            ConfigError: the profile does not exist or holds half a pair of keys.
            Unreachable: the service that gives the credentials does not answer.
        """
        if self._fixed is not None:
            return self._fixed
        source = self._source
        if source is None or _expires(source):
            # One at a time and in a thread: the chain may ask the network.
            async with self._loading:
                return await asyncio.to_thread(self._load)
        return _frozen(source)

    def _load(self) -> Keys:
        import botocore.session
        from botocore.exceptions import BotoCoreError, HTTPClientError, PartialCredentialsError, ProfileNotFound
        from botocore.exceptions import ConnectionError as NoConnection

        try:
            if self._source is None:
                self._source = botocore.session.Session(profile=self._given.profile).get_credentials()
            if self._source is None:
                raise AccessDenied("no AWS credentials were found", remedy=_GIVE_CREDENTIALS)
            return _frozen(self._source)
        except (ProfileNotFound, PartialCredentialsError) as error:
            raise ConfigError(f"the AWS credentials cannot be used: {error}", remedy=_GIVE_CREDENTIALS) from error
        except (HTTPClientError, NoConnection) as error:
            raise Unreachable("the service that gives the AWS credentials does not answer") from error
        except BotoCoreError as error:
            raise AccessDenied(
                f"the AWS credentials could not be had or renewed ({type(error).__name__})",
                remedy="Sign in again (`aws sso login`), or check the role and the profile.",
            ) from error


def _expires(source: Credentials) -> bool:
    from botocore.credentials import RefreshableCredentials

    return isinstance(source, RefreshableCredentials) and source.refresh_needed()


def _frozen(source: Credentials) -> Keys:
    frozen = source.get_frozen_credentials()
    if not frozen.access_key or not frozen.secret_key:
        raise AccessDenied("the AWS credentials that were found are empty", remedy=_GIVE_CREDENTIALS)
    return Keys(frozen.access_key, frozen.secret_key, frozen.token)


def region_of(profile: str | None) -> str | None:
    """The region that a profile, or the environment, names for AWS; None where neither does.

    Raises:
        ConfigError: the profile does not exist, or the files cannot be read.
    """
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        region = botocore.session.Session(profile=profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigError(f"the AWS profile cannot be used: {error}", remedy="Name one that exists.") from error
    return str(region) if region else None
