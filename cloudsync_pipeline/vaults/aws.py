"""AWS Secrets Manager, remembered for a while.

Amazon, "AWS Secrets Manager API Reference", GetSecretValue and its errors.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    ConfigError,
    RemoteError,
    Throttled,
    Unavailable,
    Unreachable,
)

log = logging.getLogger(__name__)

_CONNECT, _READ, _ATTEMPTS = 5, 10, 3
_THROTTLED = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"}
_DENIED = {
    "AccessDeniedException",
    "DecryptionFailure",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "UnrecognizedClientException",
}


@dataclass(frozen=True, slots=True)
class _Remembered:
    text: str
    at: float


class AwsSecrets:
    """Secrets of one region, each asked for when it is needed and older than `ttl` seconds. Safe for threads.

    Args:
        region, endpoint: where the service is; None as the machine is configured.
        prefix: put before every name.
        ttl: seconds.
    """

    def __init__(
        self, *, region: str | None = None, endpoint: str | None = None, prefix: str = "", ttl: float = 300.0
    ) -> None:
        self._region = region
        self._endpoint = endpoint
        self._prefix = prefix
        self._ttl = ttl
        self._client: Any = None
        self._lock = threading.Lock()
        self._known: dict[str, _Remembered] = {}

    def get(self, name: str, *, fresh: bool = False) -> str:
        """A secret's text.

        A service that cannot be reached does not end what runs on a secret that is remembered: that one is given,
        and the log says so.

        Args:
            fresh: ask, whatever is remembered.

        Raises:
            ConfigError: there is no such secret.
            AccessDenied: we may not read it.
            Unreachable, Unavailable: it cannot be asked, and nothing is remembered.
        """
        with self._lock:
            known = self._known.get(name)
            if known is not None and not fresh and self.age(name) < self._ttl:
                return known.text
            try:
                text = self._asked(self._prefix + name)
            except RemoteError as error:
                if known is None or fresh or not error.retryable:
                    raise
                log.warning("%s What was read %.0f s ago is used.", error, self.age(name))
                return known.text
            self._known[name] = _Remembered(text, time.monotonic())
            return text

    def age(self, name: str) -> float:
        """Seconds since a secret was read; 0 where it is not remembered."""
        known = self._known.get(name)
        return time.monotonic() - known.at if known else 0.0

    def forget(self, name: str) -> None:
        """Ask for a secret when it is needed next."""
        with self._lock:
            self._known.pop(name, None)

    def _asked(self, name: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._client is None:
                self._client = self._connect()
            answer = self._client.get_secret_value(SecretId=name)
        except ClientError as error:
            raise self._refused(name, error) from error
        except BotoCoreError as error:
            raise self._failed(error) from error
        if "SecretString" in answer:
            return str(answer["SecretString"])
        try:
            return bytes(answer["SecretBinary"]).decode()
        except UnicodeDecodeError:
            raise ConfigError(f"the secret {name!r} is no text.", remedy="Store it as text.") from None

    def _connect(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "secretsmanager",
            region_name=self._region,
            endpoint_url=self._endpoint,
            config=Config(
                connect_timeout=_CONNECT,
                read_timeout=_READ,
                retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            ),
        )

    def _refused(self, name: str, error: Any) -> CloudSyncError:
        code = error.response["Error"].get("Code", "")
        where = f"Secrets Manager ({self._client.meta.region_name})"
        if code == "ResourceNotFoundException":
            return ConfigError(
                f"the secret {name!r} is not in {where}.", remedy="Create it there, or correct the name."
            )
        if code == "InvalidRequestException":
            return ConfigError(f"the secret {name!r} in {where} is marked for deletion.", remedy="Restore it there.")
        if code in _DENIED:
            return AccessDenied(
                f"{where} does not let this process read the secret {name!r} ({code}).",
                remedy="Give its role secretsmanager:GetSecretValue, and kms:Decrypt where it has a key of its own.",
            )
        if code in _THROTTLED:
            return Throttled(f"{where} asks for fewer requests.")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500:
            return Unavailable(f"{where} answered {code or status}.")
        return ConfigError(f"the secret {name!r} cannot be read from {where}: {code}.", remedy="Check its name.")

    def _failed(self, error: Exception) -> CloudSyncError:
        from botocore import exceptions as boto

        if isinstance(error, boto.NoRegionError):
            return ConfigError("Secrets Manager needs a region.", remedy="Set `secrets.region`, or AWS_REGION.")
        if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
            return AccessDenied(
                "This process has no AWS credentials to ask Secrets Manager with.",
                remedy="Give it a role, a profile (AWS_PROFILE), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        return Unreachable(
            f"Secrets Manager cannot be reached ({type(error).__name__}).", remedy="Check `secrets.endpoint`."
        )
