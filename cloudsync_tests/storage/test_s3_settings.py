"""Settings of an S3 storage and the addresses that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.storage.s3 import S3Settings, S3Storage
from cloudsync_pipeline.storage.s3.settings import S3Address
from cloudsync_pipeline.storage.s3.vendors import VENDORS


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def url_of(key: str = "a/b", **settings: Any) -> str:
    return S3Address(S3Settings(**{"bucket": "bucket"} | settings)).of_key(key)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://bucket.s3.us-east-1.amazonaws.com/a/b"),
        ({"region": "eu-west-1"}, "https://bucket.s3.eu-west-1.amazonaws.com/a/b"),
        ({"region": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a/b"),
        ({"bucket": "with.dots"}, "https://s3.us-east-1.amazonaws.com/with.dots/a/b"),
        ({"bucket": "Old_Name"}, "https://s3.us-east-1.amazonaws.com/Old_Name/a/b"),
        ({"addressing": "path"}, "https://s3.us-east-1.amazonaws.com/bucket/a/b"),
        ({"endpoint": "http://127.0.0.1:8333"}, "http://127.0.0.1:8333/bucket/a/b"),
        ({"endpoint": "http://127.0.0.1:8333", "provider": "aws"}, "http://127.0.0.1:8333/bucket/a/b"),
        ({"endpoint": "http://[::1]:8333/"}, "http://[::1]:8333/bucket/a/b"),
        ({"endpoint": "https://host/storage/v1/s3"}, "https://host/storage/v1/s3/bucket/a/b"),
        ({"endpoint": "host:9000"}, "https://host:9000/bucket/a/b"),
        ({"endpoint": "https://host", "addressing": "virtual"}, "https://bucket.host/a/b"),
        ({"endpoint": "https://fra1.digitaloceanspaces.com"}, "https://bucket.fra1.digitaloceanspaces.com/a/b"),
    ],
)
def test_a_key_has_its_address(settings: dict[str, Any], url: str) -> None:
    assert url_of(**settings) == url


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a//b", "a//b"),
        ("/a", "/a"),
        ("a/../b", "a/../b"),
        ("..", ".."),
        ("a b+c%", "a%20b%2Bc%25"),
        ("a%2Fb", "a%252Fb"),
        ("?#&=", "%3F%23%26%3D"),
        ("~-_.", "~-_."),
        ("caf\u00e9\t", "caf%C3%A9%09"),
        ("\x1a00", "%00"),
        ("\x1aff", "%FF"),
    ],
)
def test_each_byte_of_a_key_is_encoded_once_and_nothing_is_normalized(key: str, path: str) -> None:
    assert url_of(key, endpoint="http://h") == f"http://h/bucket/{path}"


def test_the_region_comes_from_the_environment_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")

    assert "eu-north-1" in url_of()
    assert "eu-west-1" in url_of(region="eu-west-1")


@pytest.mark.parametrize(
    ("settings", "vendor", "region"),
    [
        ({}, "aws", "us-east-1"),
        ({"endpoint": "https://s3.eu-west-1.amazonaws.com"}, "aws", "us-east-1"),
        ({"endpoint": "https://abc.r2.cloudflarestorage.com"}, "r2", "auto"),
        ({"endpoint": "https://storage.googleapis.com"}, "gcs", "auto"),
        ({"endpoint": "https://s3.example.com"}, "generic", "us-east-1"),
        ({"endpoint": "https://evil-amazonaws.com"}, "generic", "us-east-1"),
        ({"endpoint": "https://s3.example.com", "provider": "minio"}, "minio", "us-east-1"),
    ],
)
def test_the_vendor_is_recognised_by_its_host_or_named(settings: dict[str, Any], vendor: str, region: str) -> None:
    address = S3Address(S3Settings("bucket", **settings))

    assert (address.vendor.name, address.region) == (vendor, region)


def test_only_vendors_that_say_so_have_md5_in_their_etags() -> None:
    for name, vendor in VENDORS.items():
        storage = S3Storage(S3Settings("bucket", "http://h", provider=name))
        assert storage.capabilities.etag_may_be_md5 == vendor.md5_etag
    assert not VENDORS["generic"].md5_etag


@pytest.mark.parametrize(("given", "root"), [("", ""), ("team", "team/"), ("team/", "team/"), ("a\x1ab", "a\x1a1ab/")])
def test_a_prefix_is_a_folder_and_escaped(given: str, root: str) -> None:
    assert S3Settings("bucket", prefix=given).root == root


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": ""},
        {"bucket": "s3://bucket"},
        {"bucket": "a/b"},
        {"provider": "nobody"},
        {"addressing": "sideways"},
        {"page_size": 0},
        {"page_attempts": 0},
        {"listing_parallelism": 0},
    ],
)
def test_values_that_cannot_be_used_are_refused_with_a_remedy(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        S3Settings(**{"bucket": "bucket"} | wrong)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "https://", "https://user:hidden@host", "https://host?x=hidden", "http://[hidden"]
)
def test_an_endpoint_that_is_no_address_is_refused_without_showing_it(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="endpoint") as caught:
        S3Storage(S3Settings("bucket", endpoint))
    assert "hidden" not in str(caught.value)


def test_a_profile_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="nobody"):
        S3Storage(S3Settings("bucket", profile="nobody"))


def test_secrets_are_neither_shown_nor_part_of_the_identity() -> None:
    settings = S3Settings("bucket", "http://h", access_key="access", secret_key="hidden", session_token="hidden")
    storage = S3Storage(settings)

    assert "hidden" not in f"{settings!r} {storage!r} {storage.identity} {settings.credentials!r}"


def test_the_identity_is_the_place_and_not_the_way_there() -> None:
    one = S3Storage(S3Settings("bucket", "HTTPS://Host:443/", prefix="team", access_key="a", secret_key="b"))
    two = S3Storage(S3Settings("bucket", "https://host", prefix="team/", region="eu-west-1", page_size=5))

    assert one.identity == two.identity
    assert one.identity == {"type": "s3", "endpoint": "https://host", "bucket": "bucket", "prefix": "team/"}
