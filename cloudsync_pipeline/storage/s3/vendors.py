"""How vendors of the S3 protocol differ, as data.

Only what their own documentation says counts: an unknown vendor gets the cautious values of `generic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloudsync_pipeline.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's ways.

    Attributes:
        hosts: suffixes of the host names that it serves under, by which it is recognised.
        virtual_host: the bucket belongs into the host name, not into the path.
        md5_etag: the ETag of an object that was stored by one unencrypted PUT is the content's MD5.
        md5_under_sse_s3: so it is under SSE-S3 (`AES256`).
        raw_encoding: the `Accept-Encoding` that makes it send objects as they are stored.
        default_region: for the signature where none is configured.
    """

    name: str
    hosts: tuple[str, ...] = ()
    virtual_host: bool = False
    md5_etag: bool = False
    md5_under_sse_s3: bool = False
    raw_encoding: str = "identity"
    default_region: str = "us-east-1"


_TABLE = (
    # Amazon S3 User Guide, "Checking object integrity".
    Vendor("aws", (".amazonaws.com", ".amazonaws.com.cn"), virtual_host=True, md5_etag=True, md5_under_sse_s3=True),
    Vendor("seaweedfs", md5_etag=True),
    # With SSE-S3 its ETags are not the MD5 of the content.
    Vendor("minio", md5_etag=True),
    Vendor("ceph", md5_etag=True),
    Vendor("digitalocean", (".digitaloceanspaces.com",), virtual_host=True, md5_etag=True),
    Vendor("wasabi", (".wasabisys.com",), md5_etag=True),
    # Cloudflare R2 encrypts everything and signs for the region "auto".
    Vendor("r2", (".r2.cloudflarestorage.com",), md5_etag=True, md5_under_sse_s3=True, default_region="auto"),
    Vendor("backblaze", (".backblazeb2.com",)),
    # Cloud Storage documentation, "Transcoding of gzip-compressed files": it decompresses for who does not take gzip.
    Vendor("gcs", ("storage.googleapis.com",), raw_encoding="gzip", default_region="auto"),
    Vendor("generic"),
)

VENDORS: Mapping[str, Vendor] = MappingProxyType({vendor.name: vendor for vendor in _TABLE})
"""By the name that the configuration uses."""


def serves(vendor: Vendor, host: str) -> bool:
    """Whether a host name is one of the vendor's own."""
    return any(host == suffix.lstrip(".") or host.endswith(suffix) for suffix in vendor.hosts)


def vendor(name: str, host: str | None) -> Vendor:
    """The vendor of that name; for "auto", the one whose host it is.

    Args:
        host: of the configured endpoint, or None where there is none, which means Amazon S3.

    Raises:
        ConfigError: no vendor has that name.
    """
    if name != "auto":
        if name not in VENDORS:
            known = ", ".join(sorted(VENDORS))
            raise ConfigError(f"{name!r} is no known vendor of S3 storage", remedy=f"Use auto or one of: {known}.")
        return VENDORS[name]
    if host is None:
        return VENDORS["aws"]
    for candidate in _TABLE:
        if serves(candidate, host):
            return candidate
    return VENDORS["generic"]
