"""What a person may set of an S3 storage, and the addresses that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote_from_bytes

from yarl import URL

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.core.keys import escape, unescape_bytes
from cloudsync_pipeline.storage.s3.vendors import Vendor, serves, vendor
from cloudsync_pipeline.transport.aws_keys import AwsCredentials, region_of
from cloudsync_pipeline.transport.settings import HttpSettings

Addressing = Literal["auto", "path", "virtual"]

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,254}")
_DNS_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """One bucket, or a part of it.

    Attributes:
        bucket: its name.
        endpoint: URL of the server, with or without a path; None for Amazon S3.
        prefix: only keys below this folder, whose name is hidden from them; "" for the whole bucket. A slash is added
            at its end where it is missing, so that `team` does not take in `team2/x`.
        region: for the signature; None takes the one of the profile or the environment, else the vendor's default.
        access_key, secret_key, session_token, profile, anonymous: see `AwsCredentials`.
        addressing: "path" (host/bucket/key) or "virtual" (bucket.host/key); "auto" does as the vendor does.
        provider: a name of `vendors.VENDORS`, or "auto".
        page_size: keys a page of a listing.
        page_attempts: tries of one page before a listing is given up.
        listing_parallelism: pages of one listing in flight at once; 1 lists in sequence.
        http: how to connect.

    Raises:
        ConfigError: a value cannot be used.
    """

    bucket: str
    endpoint: str | None = None
    prefix: str = ""
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    anonymous: bool = False
    addressing: Addressing = "auto"
    provider: str = "auto"
    page_size: int = 1000
    page_attempts: int = 5
    listing_parallelism: int = 8
    http: HttpSettings = field(default_factory=HttpSettings)

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ConfigError(f"{self.bucket!r} is no name of a bucket", remedy="Give the name alone, without s3://.")
        if self.addressing not in ("auto", "path", "virtual"):
            raise ConfigError(f"addressing {self.addressing!r} is not known", remedy="Use auto, path or virtual.")
        for name in ("page_size", "page_attempts", "listing_parallelism"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", remedy="Give a number of at least 1.")
        if self.prefix and not self.prefix.endswith("/"):
            object.__setattr__(self, "prefix", f"{self.prefix}/")
        vendor(self.provider, None)

    @property
    def credentials(self) -> AwsCredentials:
        return AwsCredentials(self.access_key, self.secret_key, self.session_token, self.profile, self.anonymous)

    @property
    def root(self) -> str:
        """The prefix in escaped form."""
        return escape(self.prefix)


class S3Address:
    """Where a bucket and its keys are.

    Raises:
        ConfigError: the endpoint is no address, or the profile does not exist.
    """

    def __init__(self, settings: S3Settings) -> None:
        configured = _endpoint(settings.endpoint) if settings.endpoint else None
        self.vendor: Vendor = vendor(settings.provider, configured.host if configured else None)
        self.region = settings.region or region_of(settings.profile) or self.vendor.default_region
        self.identity = str(configured).rstrip("/") if configured else "aws"
        base = configured or URL(f"https://s3.{self.region}.{_dns_suffix(self.region)}")
        if _is_virtual(settings, self.vendor, base):
            base = base.with_host(f"{settings.bucket}.{base.host}")
            self._bucket = f"{base.origin()}{base.raw_path.rstrip('/')}"
        else:
            self._bucket = f"{base.origin()}{base.raw_path.rstrip('/')}/{_quoted(settings.bucket.encode())}"

    def of_bucket(self, query: dict[str, bytes]) -> str:
        """A URL that asks the bucket; each byte of the values that is not unreserved is percent-encoded."""
        asked = "&".join(f"{name}={_quoted(value)}" for name, value in sorted(query.items()))
        return f"{self._bucket}/?{asked}"

    def of_key(self, key: str) -> str:
        """The URL of an object; dots, slashes and spaces of the (escaped, whole) key stay what they are."""
        return f"{self._bucket}/{quote_from_bytes(unescape_bytes(key), safe='/' + _UNRESERVED)}"


def _quoted(value: bytes) -> str:
    return quote_from_bytes(value, safe=_UNRESERVED)


def _endpoint(text: str) -> URL:
    try:
        url = URL(text if "://" in text else f"https://{text}")
    except ValueError as error:
        raise _no_endpoint() from error
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.user is not None:
        raise _no_endpoint()
    return url.with_fragment(None)


def _no_endpoint() -> ConfigError:
    # The text itself is not shown: people do put credentials into URLs.
    return ConfigError(
        "the storage's endpoint is no address", remedy="Write it as https://host:port, without credentials."
    )


def _is_virtual(settings: S3Settings, vendor: Vendor, base: URL) -> bool:
    if settings.addressing != "auto":
        return settings.addressing == "virtual"
    # Only under the vendor's own names is a name for each bucket known to be there, and its wildcard certificate
    # covers none with a dot.
    fits = _DNS_LABEL.fullmatch(settings.bucket) is not None
    return vendor.virtual_host and fits and serves(vendor, base.host or "")


def _dns_suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
