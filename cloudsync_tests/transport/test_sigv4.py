"""Requests are signed as AWS documents it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import botocore.auth
import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ConnectTimeoutError, CredentialRetrievalError
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, Unreachable
from cloudsync_pipeline.transport.sigv4 import UNSIGNED_PAYLOAD, AwsCredentials, Signer

# Amazon S3 API Reference, "Signature Calculations for the Authorization Header", example "GET Object".
EXAMPLE = AwsCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_SIGNATURE = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


MOMENT = datetime(2013, 5, 24, tzinfo=UTC)


def signed(credentials: AwsCredentials, url: str = "http://h/b/k", **kw: Any) -> dict[str, str]:
    signer = Signer(credentials, region="us-east-1", clock=lambda: MOMENT)
    return asyncio.run(signer.sign("GET", url, kw.pop("headers", {}), **kw))


def signed_by_botocore(keys: Credentials, url: str, headers: dict[str, str]) -> dict[str, str]:
    request = AWSRequest(method="GET", url=url, headers=headers)
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    return {name: value for name, value in request.headers.items() if name.lower() != "x-amz-content-sha256"}


@given(
    path=st.binary(max_size=40),
    query=st.dictionaries(st.sampled_from(["prefix", "list-type", "delimiter", "a", "b"]), st.binary(max_size=12)),
    host=st.sampled_from(["h", "h:9000", "h:80", "bucket.s3.example.com"]),
    token=st.sampled_from([None, "token-1"]),
    range_=st.sampled_from([None, "bytes=0-9", "  bytes=5-   "]),
)
def test_it_signs_as_botocore_does(
    path: bytes, query: dict[str, bytes], host: str, token: str | None, range_: str | None
) -> None:
    asked = "&".join(f"{name}={quote_from_bytes(value, safe='-_.~')}" for name, value in query.items())
    url = f"http://{host}/b/{quote_from_bytes(path, safe='/-_.~')}" + (f"?{asked}" if asked else "")
    headers = {"Range": range_} if range_ is not None else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: MOMENT)
        theirs = signed_by_botocore(Credentials("access", "secret", token), url, headers)

    ours = signed(AwsCredentials("access", "secret", token), url, headers=headers)

    assert {name: ours[name] for name in theirs} == theirs


def test_the_documented_example_comes_out() -> None:
    headers = signed(EXAMPLE, "https://examplebucket.s3.amazonaws.com/test.txt", headers={"Range": "bytes=0-9"})

    assert headers["Authorization"].endswith(f"Signature={EXAMPLE_SIGNATURE}")
    assert headers["X-Amz-Date"] == "20130524T000000Z"


def test_a_dot_segment_is_signed_as_it_is_sent() -> None:
    there, shortened = signed(EXAMPLE, "http://h/b/a/../k"), signed(EXAMPLE, "http://h/b/k")

    assert there["Authorization"] != shortened["Authorization"]


def test_a_body_may_stay_unsigned() -> None:
    assert signed(EXAMPLE, payload=UNSIGNED_PAYLOAD)["X-Amz-Content-SHA256"] == UNSIGNED_PAYLOAD


def test_temporary_keys_send_their_token() -> None:
    headers = signed(AwsCredentials("access", "secret", "token-1"))

    assert headers["X-Amz-Security-Token"] == "token-1"
    assert "x-amz-security-token" in headers["Authorization"]


def test_anonymous_requests_are_not_signed() -> None:
    assert signed(AwsCredentials(anonymous=True), headers={"Range": "bytes=0-"}) == {"Range": "bytes=0-"}


def test_keys_come_from_the_environment_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert "Credential=from-environment/" in signed(AwsCredentials())["Authorization"]


def test_keys_come_from_a_profile(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = of-team\naws_secret_access_key = secret\n")

    assert "Credential=of-team/" in signed(AwsCredentials(profile="team"))["Authorization"]


def test_no_credentials_anywhere_is_access_denied_with_a_remedy() -> None:
    with pytest.raises(AccessDenied, match="no AWS credentials") as caught:
        signed(AwsCredentials())
    assert "access_key" in str(caught.value)


def test_a_profile_that_does_not_exist_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="nobody"):
        signed(AwsCredentials(profile="nobody"))


def test_half_a_pair_in_a_profile_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = of-team\n")

    with pytest.raises(ConfigError, match="secret_access_key"):
        signed(AwsCredentials(profile="team"))


@pytest.mark.parametrize(
    "settings",
    [
        {"access_key": "a"},
        {"secret_key": "s"},
        {"session_token": "t"},
        {"access_key": "a", "secret_key": "s", "profile": "p"},
        {"access_key": "a", "secret_key": "s", "anonymous": True},
        {"profile": "p", "anonymous": True},
    ],
)
def test_credentials_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        AwsCredentials(**settings)
    assert caught.value.remedy


class Source:
    """Stands for botocore's session: gives keys that expire."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lasts: timedelta) -> None:
        self.renewed = 0
        self.lasts = lasts
        self.error: Exception | None = None
        monkeypatch.setattr(botocore.session, "Session", lambda profile: self)

    def get_credentials(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(self.renew(), self.renew, "test")

    def renew(self) -> dict[str, Any]:
        self.renewed += 1
        if self.error:
            raise self.error
        until = datetime.now(UTC) + self.lasts
        return {"access_key": f"key-{self.renewed}", "secret_key": "s", "token": "t", "expiry_time": until.isoformat()}


def test_keys_that_expire_are_renewed_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(monkeypatch, lasts=timedelta(seconds=1))

    async def main() -> list[str]:
        signer = Signer(AwsCredentials(), region="us-east-1")
        await signer.sign("GET", "http://h/", {})
        source.lasts = timedelta(hours=2)
        answers = await asyncio.gather(*(signer.sign("GET", "http://h/", {}) for _ in range(5)))
        return [answer["Authorization"].split("/")[0].split("=")[1] for answer in answers]

    used = asyncio.run(main())
    assert len(set(used)) == 1
    assert used[0] == f"key-{source.renewed}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CredentialRetrievalError(provider="p", error_msg="refused"), AccessDenied),
        (ConnectTimeoutError(endpoint_url="http://169.254.169.254"), Unreachable),
    ],
)
def test_keys_that_cannot_be_renewed_are_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    source = Source(monkeypatch, lasts=timedelta(hours=1))
    source.error = error

    with pytest.raises(expected):
        signed(AwsCredentials())
