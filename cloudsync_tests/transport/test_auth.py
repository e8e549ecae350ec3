"""Authentication as headers, never shown."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.transport.auth import BasicAuth, BearerAuth, HeaderAuth
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_pipeline.transport.sigv4 import AwsCredentials


def test_each_kind_has_its_header() -> None:
    assert BearerAuth("abc").headers() == {"Authorization": "Bearer abc"}
    # RFC 7617, section 2.1.
    assert BasicAuth("test", "123\u00a3").headers() == {"Authorization": "Basic dGVzdDoxMjPCow=="}
    assert HeaderAuth("X-Api-Key", "abc").headers() == {"X-Api-Key": "abc"}


@pytest.mark.parametrize(
    "shown",
    [
        BearerAuth("hidden"),
        BasicAuth("user", "hidden"),
        HeaderAuth("X-Api-Key", "hidden"),
        HttpSettings(headers={"X-Api-Key": "hidden"}),
        AwsCredentials("access", "hidden", "hidden"),
    ],
    ids=lambda shown: type(shown).__name__,
)
def test_secrets_are_not_shown(shown: object) -> None:
    assert "hidden" not in f"{shown!r} {shown}"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x00"])
def test_a_secret_with_a_line_break_is_refused_without_showing_it(line_break: str) -> None:
    for make in (BearerAuth, lambda value: BasicAuth("user", value), lambda value: HeaderAuth("X-Key", value)):
        with pytest.raises(ConfigError, match="control character") as caught:
            make(f"hidden{line_break}")
        assert "hidden" not in str(caught.value)


def test_a_user_name_with_a_colon_is_refused() -> None:
    with pytest.raises(ConfigError, match="colon"):
        BasicAuth("a:b", "c")
