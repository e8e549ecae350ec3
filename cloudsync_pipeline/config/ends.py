"""The two ends of an integration and its feed, one model a `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.fields import Address, Place, Seconds, Secret, SecretAddress, Section

# --- storage ------------------------------------------------------------------------------------


class S3Credentials(Section):
    """Keys, or a profile, or nothing: then the machine's own credentials are used."""

    access_key: Secret | None = Field(None, description="the access key's id")
    secret_key: Secret | None = Field(None, description="the secret access key")
    session_token: Secret | None = Field(None, description="the token of temporary credentials")
    profile: str | None = Field(None, min_length=1, description="a profile of the shared AWS configuration")
    anonymous: bool = Field(False, description="whether requests go unsigned, for public buckets")

    @model_validator(mode="after")
    def _whole(self) -> S3Credentials:
        if (self.access_key is None) != (self.secret_key is None):
            raise PydanticCustomError("credentials", "`access_key` and `secret_key` together")
        if self.session_token and not self.access_key:
            raise PydanticCustomError("credentials", "`access_key` and `secret_key` beside `session_token`")
        if sum((self.access_key is not None, self.profile is not None, self.anonymous)) > 1:
            raise PydanticCustomError("credentials", "one of keys, `profile` and `anonymous`")
        return self


class S3Storage(Section):
    """A bucket of Amazon S3 or of a storage that speaks like it."""

    type: Literal["s3"]
    endpoint: Address | None = Field(None, description="the storage's address; none for Amazon's own")
    bucket: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{1,254}$", description="the bucket's name, without s3://")
    prefix: str = Field("", max_length=1024, description="only keys below this folder are synced")
    region: str | None = Field(
        None, min_length=1, description="the bucket's region; by default, the vendor's usual one"
    )
    credentials: S3Credentials = Field(default_factory=S3Credentials, description="keys or a profile")
    addressing: Literal["auto", "path", "virtual"] = Field("auto", description="how the bucket stands in addresses")
    provider: str = Field("auto", min_length=1, description="the vendor, where its address does not tell")
    verify_tls: bool = Field(True, description="whether the server's certificate is checked")
    ca_file: Place | None = Field(None, description="a file of certificates to trust")
    connect_timeout: Seconds = Field(10, description="how long connecting may take")
    read_timeout: Seconds = Field(60, description="how long the storage may be silent")
    max_connections: int = Field(32, ge=1, le=4096, description="connections open at once")
    page_size: int = Field(1000, ge=1, le=1000, description="keys on one page of a listing")
    listing_parallelism: int = Field(8, ge=1, le=64, description="pages of one listing asked for at once")


class LocalStorage(Section):
    """A folder on this machine."""

    type: Literal["local"]
    path: Place = Field(description="the folder")


class MemoryStorage(Section):
    """A fake in this process; all that name it share it."""

    type: Literal["memory"]
    name: str = Field("default", min_length=1, description="the fake's name")


StorageConfig = Annotated[S3Storage | LocalStorage | MemoryStorage, Field(discriminator="type")]

# --- file managers ------------------------------------------------------------------------------


class NoAuth(Section):
    """No login."""

    type: Literal["none"] = "none"


class BearerAuth(Section):
    """A token, as `Authorization: Bearer`."""

    type: Literal["bearer"]
    token: Secret = Field(description="the token")


class BasicAuth(Section):
    """User name and password."""

    type: Literal["basic"]
    username: str = Field(min_length=1, description="the user's name")
    password: Secret = Field(description="the password")


class HeaderAuth(Section):
    """A header of the server's own, like `X-Api-Key`."""

    type: Literal["header"]
    name: str = Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", description="the header's name")
    value: Secret = Field(description="the header's value")


AuthConfig = Annotated[NoAuth | BearerAuth | BasicAuth | HeaderAuth, Field(discriminator="type")]


class HttpConnection(Section):
    """How an HTTP server is reached."""

    auth: AuthConfig = Field(default_factory=NoAuth, description="the login, with its `type`")
    ca_file: Place | None = Field(None, description="a file of certificates to trust")
    client_certificate: Place | None = Field(None, description="the client's certificate, a PEM file")
    client_key: Place | None = Field(None, description="the client certificate's key, a PEM file")
    verify_tls: bool = Field(True, description="whether the server's certificate is checked")
    connect_timeout: Seconds = Field(10, description="how long connecting may take")
    read_timeout: Seconds = Field(60, description="how long the server may be silent while content is sent or read")
    timeout: Seconds = Field(30, description="how long one answer may take")
    max_connections: int = Field(32, ge=1, le=4096, description="connections open at once")

    @model_validator(mode="after")
    def _key_with_certificate(self) -> HttpConnection:
        if self.client_key and not self.client_certificate:
            raise PydanticCustomError("client_certificate", "`client_certificate` beside `client_key`")
        return self


class CapabilityOverrides(Section):
    """What is known of a file manager better than probing can tell; see `file_managers.base`."""

    atomic_put: bool | None = Field(None, description="a path never holds a part of a content")
    move: bool | None = Field(None, description="renaming is there")
    delete: bool | None = Field(None, description="deleting is there")
    probe: bool | None = Field(None, description="`get` tells the truth about a path")
    permissions: bool | None = Field(None, description="permissions can be read and set")
    permissions_in_answers: bool | None = Field(None, description="every answer about a file tells its permissions")
    list: bool | None = Field(None, description="files can be listed")
    read: bool | None = Field(None, description="content can be read back")
    content_hash: bool | None = Field(None, description="answers carry a hash")
    stable_ids: bool | None = Field(None, description="the internal id survives update and move")
    folders_are_files: bool | None = Field(None, description="`a` and `a/b` can both be files")
    case_sensitive: bool | None = Field(None, description="`A` and `a` are two paths")
    max_path_bytes: int | None = Field(None, ge=1, description="the longest path")
    max_name_bytes: int | None = Field(None, ge=1, description="the longest part of a path")

    def given(self) -> dict[str, bool | int]:
        """Only what is set."""
        return self.model_dump(exclude_none=True)


class HttpApiFileManager(HttpConnection):
    """A file manager that speaks the HTTP file-manager API."""

    type: Literal["http_api"]
    url: Address = Field(description="the file manager's address")
    opaque_paths: bool | None = Field(None, description="whether paths such as `a//b` are kept; asked if not said")
    reporting_url: SecretAddress | None = Field(
        None, description="where results are reported, if not to the file manager"
    )
    reporting_auth: AuthConfig = Field(default_factory=NoAuth, description="the login there, with its `type`")
    capabilities: CapabilityOverrides = Field(default_factory=CapabilityOverrides, description="what it can do")
    confirm: Literal["acknowledgement", "probe"] = Field(
        "acknowledgement",
        description="what a change counts as done by: its acknowledgement, or a look at the file after it (for file "
        "managers that acknowledge what they did not do)",
    )


class LocalFileManager(Section):
    """A folder on this machine."""

    type: Literal["local"]
    path: Place = Field(description="the folder")
    create: bool = Field(False, description="whether a missing folder is made, rather than taken for a missing disk")
    case_sensitive: bool | None = Field(None, description="whether `A` and `a` are two files; found out if not said")


class MemoryFileManager(Section):
    """A fake in this process; all that name it share it."""

    type: Literal["memory"]
    name: str = Field("default", min_length=1, description="the fake's name")


FileManagerConfig = Annotated[HttpApiFileManager | LocalFileManager | MemoryFileManager, Field(discriminator="type")]

# --- feeds --------------------------------------------------------------------------------------


class HttpFeed(HttpConnection):
    """The list of changes that a file manager's HTTP API gives."""

    type: Literal["http"]
    url: Address = Field(description="the feed's address; by default, that of an `http_api` file manager")
    event_paths: Literal["prefixed", "bare"] = Field(
        "prefixed", description="whether paths in events begin with the destination prefix"
    )


class SqsFeed(Section):
    """An Amazon SQS queue that the bucket's event notifications arrive in."""

    type: Literal["sqs"]
    queue_url: Address = Field(description="the queue's address, with its account and name")
    region: str | None = Field(None, min_length=1, description="the queue's region; by default, the one in its address")
    endpoint: Address | None = Field(None, description="the server's address, if not the one in the queue's")
    credentials: S3Credentials | None = Field(
        None, description="keys or a profile; by default the storage's, where both are Amazon's"
    )
    bucket: str | None = Field(None, min_length=1, description="the bucket that messages name, if not the storage's")
    shared: bool = Field(False, description="whether others read the queue, so that what is theirs stays in it")
    wait: int = Field(1, ge=0, le=20, description="how many seconds one call waits for a first message")
    visibility_timeout: Seconds = Field(
        120, ge=1, le=43_200, description="after how long a message that was received and not recorded comes again"
    )
    page_size: int = Field(500, ge=1, le=5000, description="events recorded at once")
    connect_timeout: Seconds = Field(10, description="how long connecting may take")
    read_timeout: Seconds = Field(20, description="how long the server may be silent")
    verify_tls: bool = Field(True, description="whether the server's certificate is checked")
    ca_file: Place | None = Field(None, description="a file of certificates to trust")

    @model_validator(mode="after")
    def _signed(self) -> SqsFeed:
        if self.credentials and self.credentials.anonymous:
            raise PydanticCustomError("credentials", "credentials: a queue cannot be read anonymously")
        return self


class InboxFeed(Section):
    """What webhooks of the storage, or others, send to this service."""

    type: Literal["inbox"]
    bucket: str | None = Field(None, min_length=1, description="the bucket that messages name, if not the storage's")
    event_paths: Literal["prefixed", "bare"] = Field(
        "bare", description="whether paths in events begin with the destination prefix"
    )


class MemoryFeed(Section):
    """A fake in this process; all that name it share it."""

    type: Literal["memory"]
    name: str = Field("default", min_length=1, description="the fake's name")


FeedConfig = Annotated[HttpFeed | SqsFeed | InboxFeed | MemoryFeed, Field(discriminator="type")]
