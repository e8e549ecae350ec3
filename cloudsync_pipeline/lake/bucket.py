"""A bucket below which lakes keep their Parquet files: its address, its keys, and how DuckDB is told of them.

DuckDB reads and writes the files; what it has no words for (listing with times, removing) goes through boto3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake.attach import literal
from cloudsync_pipeline.lake.location import DataFile, Removed

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

SECRET = "cloudsync_s3"  # noqa: S105 - the name of DuckDB's secret, not one
_AT_ONCE = 8
"""Requests in flight while files are removed."""
_REMEDY = "Check `database.lakes`: its bucket, endpoint, region and credentials."


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where lakes keep their files, and who may write there.

    Attributes:
        bucket: its name.
        endpoint: URL of the server; None for Amazon S3.
        region: for the signature.
        access_key, secret_key, session_token: given keys; None takes those of the profile, or of botocore's chain.
        profile: of the shared AWS files.
        addressing: "path" (host/bucket/key), "virtual" (bucket.host/key), or "auto": path where an endpoint is given.
    """

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"

    @property
    def _by_path(self) -> bool:
        return self.addressing == "path" or (self.addressing == "auto" and self.endpoint is not None)

    def tell(self, connection: DuckDBPyConnection) -> Callable[[], None]:
        """Make the keys known to DuckDB; returns what is called before each use, so that they are renewed.

        Raises:
            StateError: there are no keys.
        """
        source = self._credentials()
        told: list[ReadOnlyCredentials] = []
        one_at_a_time = Lock()

        def renew() -> None:
            with one_at_a_time, _translated(self.bucket):
                keys = source.get_frozen_credentials()
                if told[-1:] != [keys]:
                    connection.cursor().execute(self._secret(keys))
                    told[:] = [keys]

        renew()
        return renew

    def client(self) -> Any:
        """boto3's client for this bucket; safe to use from several threads."""
        import boto3
        from botocore.config import Config

        with _translated(self.bucket):
            keys = self._credentials().get_frozen_credentials() if self.access_key else None
            session = boto3.session.Session(profile_name=self.profile)
            return session.client(
                "s3",
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=keys.access_key if keys else None,
                aws_secret_access_key=keys.secret_key if keys else None,
                aws_session_token=keys.token if keys else None,
                config=Config(
                    connect_timeout=10,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": 5},
                    max_pool_connections=_AT_ONCE,
                    s3={"addressing_style": "path" if self._by_path else "auto"},
                    request_checksum_calculation="when_required",
                ),
            )

    def _credentials(self) -> Credentials:
        import botocore.session
        from botocore.credentials import Credentials

        with _translated(self.bucket):
            if self.access_key and self.secret_key:
                return Credentials(self.access_key, self.secret_key, self.session_token)
            found = botocore.session.Session(profile=self.profile).get_credentials()
        if found is None:
            raise StateError(
                f"There are no AWS credentials for the lakes' bucket {self.bucket}.",
                remedy="Give `database.lakes.credentials`, or give the process a role or the AWS_* variables.",
            )
        return found

    def _secret(self, keys: ReadOnlyCredentials) -> str:
        parts = urlsplit(self.endpoint or "")
        values = {
            "KEY_ID": keys.access_key,
            "SECRET": keys.secret_key,
            "SESSION_TOKEN": keys.token,
            "REGION": self.region,
            "ENDPOINT": f"{parts.netloc}{parts.path.rstrip('/')}" or None,
            "URL_STYLE": "path" if self._by_path else "vhost",
            "SCOPE": f"s3://{self.bucket}/",
        }
        told = ", ".join(f"{name} {literal(value)}" for name, value in values.items() if value)
        plain = ", USE_SSL false" if parts.scheme == "http" else ""
        return f"CREATE OR REPLACE TEMPORARY SECRET {SECRET} (TYPE s3, {told}{plain})"


@dataclass(frozen=True, slots=True)
class BucketFiles:
    """Parquet files below a prefix of a bucket; the prefix ends in "/"."""

    bucket: Bucket
    prefix: str

    @property
    def address(self) -> str:
        return f"s3://{self.bucket.bucket}/{self.prefix}"

    def list(self) -> Iterator[DataFile]:
        with _translated(self.bucket.bucket):
            pages = self.bucket.client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket.bucket, Prefix=self.prefix):
                for found in page.get("Contents", ()):
                    if found["Key"].endswith(".parquet"):
                        path = found["Key"].removeprefix(self.prefix)
                        yield DataFile(path, found["Size"], found["LastModified"])

    def remove(self, paths: Iterable[str]) -> Removed:
        from botocore.exceptions import ClientError

        client, bucket = self.bucket.client(), self.bucket.bucket

        def one(path: str) -> Removed:
            key = self.prefix + path.removeprefix(self.address)
            try:
                size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return Removed()  # An earlier round was killed before it could note this one.
                raise
            client.delete_object(Bucket=bucket, Key=key)
            return Removed(1, size)

        with _translated(bucket), ThreadPoolExecutor(_AT_ONCE) as threads:
            return sum(threads.map(one, paths), Removed())


@contextmanager
def _translated(bucket: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "?")
        raise StateError(
            f"The lakes' bucket {bucket} refused {error.operation_name} ({code}).", remedy=_REMEDY
        ) from error
    except BotoCoreError as error:
        raise StateError(
            f"The lakes' bucket {bucket} cannot be used ({type(error).__name__}).", remedy=_REMEDY
        ) from error
