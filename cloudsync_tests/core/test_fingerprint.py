"""What counts as the same content."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.core.fingerprint import Fingerprint, md5_in_etag

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("etag", [MD5, f'"{MD5}"', MD5.upper(), f'W/"{MD5}"'])
def test_an_etag_of_32_hexadecimal_digits_may_be_an_md5(etag: str) -> None:
    assert md5_in_etag(etag) == MD5


@pytest.mark.parametrize("etag", [f"{MD5}-2", "", "0x8DC0FFEE", MD5[:-1]])
def test_other_etags_are_versions_only(etag: str) -> None:
    assert md5_in_etag(etag) is None


def test_a_version_label_is_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="etag"):
        Fingerprint("etag", "x", 1)
