"""Escaping keys: every byte string has one escaped form, and it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.keys import escape, escape_bytes, unescape, unescape_bytes


@given(st.binary(max_size=64))
def test_any_bytes_come_back(raw: bytes) -> None:
    assert unescape_bytes(escape_bytes(raw)) == raw


@given(st.text(max_size=64))
def test_what_is_escaped_holds_neither_nul_nor_surrogates(raw: str) -> None:
    raw = raw.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    escaped = escape(raw)
    assert "\x00" not in escaped
    assert escaped.encode("utf-8").decode("utf-8") == escaped
    assert unescape(escaped) == raw


def test_an_ordinary_key_stands_as_it_is() -> None:
    assert escape("a//b/../c \\ 100% + ü/") == "a//b/../c \\ 100% + ü/"


def test_two_keys_never_share_an_escaped_form() -> None:
    assert escape("\x00") != escape("\x1a00")
    assert unescape(escape("\x1a00")) == "\x1a00"


def test_a_surrogate_that_stands_for_no_byte_is_an_error() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        escape("\ud800")
