"""Which paths a tree of folders can hold as themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.errors import ConfigError, PathRejected, Rejected
from cloudsync_pipeline.core.keys import escape, escape_bytes
from cloudsync_pipeline.file_managers.modes import mode_of, text_of
from cloudsync_pipeline.file_managers.paths import refuse_long, split, split_prefix

NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/a", "begins with a slash"),
        ("a/", "ends with a slash"),
        ("a//b", "empty name"),
        ("a/./b", "'.'"),
        ("a/../b", "'..'"),
        ("..", "'..'"),
        (escape("a\0b"), "U\\+0000"),
        ("\x1a41", "canonical"),
        ("n" * 256, "256 bytes"),
        ("é" * 128, "256 bytes"),
        ("/".join(["n" * 255] * 17), "4351 bytes"),
    ],
)
def test_a_path_that_cannot_be_held_is_rejected_with_the_reason(path: str, reason: str) -> None:
    with pytest.raises(PathRejected, match=reason) as caught:
        split(path)
    assert caught.value.key == path
    assert caught.value.remedy


@given(st.lists(NAMES.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=8))
def test_every_other_path_is_its_names(names: list[bytes]) -> None:
    assert split(escape_bytes(b"/".join(names))) == tuple(names)


@given(st.text(max_size=300))
def test_any_key_is_split_without_loss_or_rejected(raw: str) -> None:
    try:
        key = escape(raw)
    except ValueError:
        return
    try:
        parts = split(key)
    except PathRejected:
        return
    assert escape_bytes(b"/".join(parts)) == key
    assert not {b"", b".", b".."} & set(parts)


def test_limits_can_be_others_or_none() -> None:
    assert split("n" * 5000, max_path=None, max_name=None) == (b"n" * 5000,)
    with pytest.raises(PathRejected, match="10 is the limit"):
        split("n" * 11, max_path=10)
    with pytest.raises(PathRejected, match="10 is the limit"):
        refuse_long("a/" + "n" * 11, max_path=None, max_name=10)
    refuse_long("a//../b", max_path=None, max_name=None)


@pytest.mark.parametrize(
    ("prefix", "parts"), [("", ()), ("a", (b"a",)), ("a/b/", (b"a", b"b")), ("ü", ("ü".encode(),))]
)
def test_a_prefix_is_its_names(prefix: str, parts: tuple[bytes, ...]) -> None:
    assert split_prefix(prefix) == parts


@pytest.mark.parametrize("prefix", ["/", "//", "a//", "../a", "a/..", "."])
def test_a_prefix_that_leads_elsewhere_is_a_configuration_error(prefix: str) -> None:
    with pytest.raises(ConfigError):
        split_prefix(prefix)


@given(st.integers(0, 0o777))
def test_a_mode_and_its_text_are_the_same(mode: int) -> None:
    assert mode_of(text_of(mode)) == mode


def test_modes_read_like_those_of_ls() -> None:
    assert text_of(0o100644) == "rw-r--r--"
    assert mode_of("rwxr-x--x") == 0o751
    with pytest.raises(Rejected):
        mode_of("rwxrwxrwt")
