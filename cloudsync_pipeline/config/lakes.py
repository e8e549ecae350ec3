"""Lakes on servers, for fleets that run on several machines."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.deferred import Deferred
from cloudsync_pipeline.config.ends import S3Credentials
from cloudsync_pipeline.config.fields import Address, Secret, Section


def _bucket_address(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
    except ValueError:
        parts = urlsplit("")
    inside = parts.path.strip("/")
    if (
        parts.scheme != "s3"
        or not parts.netloc
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or any(part in {"", ".", ".."} for part in inside.split("/") if inside)
    ):
        raise PydanticCustomError("bucket_address", "a bucket with or without a folder in it, like s3://bucket/lakes")
    return f"s3://{parts.netloc}/{inside}".rstrip("/")


def is_postgres(url: str) -> bool:
    """Whether a database's address is one of PostgreSQL, with or without the name of a driver."""
    return url.split("://", 1)[0].split("+", 1)[0] in {"postgresql", "postgres"}


def _postgres(value: SecretStr) -> SecretStr:
    # What is in a vault is looked at when it is used.
    if not isinstance(value, Deferred) and not is_postgres(value.get_secret_value()):
        raise PydanticCustomError("postgres", "PostgreSQL's address, like postgresql://user:password@host/name")
    return value


class LakesCredentials(S3Credentials):
    """Keys, or a profile, or nothing: then the machine's own credentials are used."""

    anonymous: Literal[False] = Field(False, description="false: lakes are written, which takes keys")


class LakesSettings(Section):
    """Where all integrations' lakes are, if not in the state folder."""

    data: Annotated[str, AfterValidator(_bucket_address)] = Field(
        description="the bucket for their files, with or without a folder in it, like s3://bucket/lakes"
    )
    catalog: Annotated[Secret, AfterValidator(_postgres)] | None = Field(
        None, description="PostgreSQL's address for their catalogs; by default, that of the control database"
    )
    endpoint: Address | None = Field(None, description="the bucket's server; none for Amazon's own")
    region: str | None = Field(None, min_length=1, description="the bucket's region")
    credentials: LakesCredentials = Field(default_factory=LakesCredentials, description="keys or a profile")
    addressing: Literal["auto", "path", "virtual"] = Field("auto", description="how the bucket stands in addresses")

    @property
    def bucket(self) -> str:
        return urlsplit(self.data).netloc

    @property
    def prefix(self) -> str:
        """The folder in the bucket, ending in "/"; empty for the bucket itself."""
        inside = urlsplit(self.data).path.strip("/")
        return f"{inside}/" if inside else ""
