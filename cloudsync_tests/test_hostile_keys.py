"""The list of hostile keys keeps to what it says of itself."""

from __future__ import annotations

from cloudsync_pipeline.core.keys import unescape_bytes
from cloudsync_tests.hostile_keys import HOSTILE_KEYS, LOCAL, MOTO, SEAWEEDFS, keys_for


def test_names_and_keys_are_unique() -> None:
    assert len({hostile.name for hostile in HOSTILE_KEYS}) == len(HOSTILE_KEYS)
    assert len({hostile.raw for hostile in HOSTILE_KEYS}) == len(HOSTILE_KEYS)


def test_every_key_is_legal() -> None:
    assert all(1 <= len(hostile.raw.encode()) <= 1024 for hostile in HOSTILE_KEYS)
    assert any(len(hostile.raw.encode()) == 1024 for hostile in HOSTILE_KEYS)


def test_escaped_keys_lead_back_to_the_bytes() -> None:
    assert all(unescape_bytes(hostile.key) == hostile.raw.encode() for hostile in HOSTILE_KEYS)


def test_every_server_holds_most_of_them_and_each_key_is_held_somewhere() -> None:
    for server in (SEAWEEDFS, MOTO, LOCAL):
        assert len(keys_for(server)) > 2 * len(HOSTILE_KEYS) / 3
    assert {hostile for server in (SEAWEEDFS, MOTO) for hostile in keys_for(server)} == set(HOSTILE_KEYS)
