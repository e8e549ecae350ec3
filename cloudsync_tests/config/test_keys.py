"""Who may call the API, as configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.config.builders import load
from cloudsync_tests.config.test_environment import VARIABLES

HASH = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def test_keys_have_a_name_a_hash_and_scopes(tmp_path: Path) -> None:
    keys = f"api:\n  keys:\n  - {{name: prometheus, hash: '{HASH}', scopes: [read]}}\n"
    [key] = load(tmp_path, keys).settings.api.keys
    assert (key.name, key.hash, key.scopes) == ("prometheus", HASH, ["read"])


def test_keys_may_come_from_the_environment_as_one_text(tmp_path: Path) -> None:
    environ = {"KEYS": f"prometheus=read={HASH}, webhook=read+sync={OTHER}"}
    keys = load(tmp_path, "api: {keys: '${KEYS:-}'}", environ).settings.api.keys
    assert [(one.name, one.scopes, one.hash) for one in keys] == [
        ("prometheus", ["read"], HASH),
        ("webhook", ["read", "sync"], OTHER),
    ]


def test_without_any_text_there_are_no_keys(tmp_path: Path) -> None:
    assert load(tmp_path, "api: {keys: '${KEYS:-}'}").settings.api.keys == []


def test_an_integration_of_the_environment_has_keys_in_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = VARIABLES | {"API_KEYS": f"a=admin={HASH}"}
    [key] = load_fleet(environ=environ).settings.api.keys
    assert (key.name, key.scopes) == ("a", ["admin"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[{name: a, hash: hunter2, scopes: [read]}]", r"api\.keys\[0\]\.hash: expected `sha256:`"),
        (f"[{{name: a, hash: '{HASH}', scopes: [write]}}]", r"scopes\[0\]: expected one of `read`, `sync`, `admin`"),
        (f"[{{name: a, hash: '{HASH}', scopes: []}}]", r"api\.keys\[0\]\.scopes"),
        (f"[{{name: a, hash: '{HASH}', scope: [read]}}]", r"did you mean `scopes`"),
        (f"[{{name: a b, hash: '{HASH}', scopes: [read]}}]", r"api\.keys\[0\]\.name: expected up to 63 letters"),
        (f"'a=read={HASH} a=sync={OTHER}'", "keys that differ in their name"),
        (f"'a=read={HASH} b=sync={HASH}'", "keys that differ in their hash"),
    ],
)
def test_a_key_that_cannot_be_used_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load(tmp_path, f"api: {{keys: {text}}}")
    assert "hunter2" not in str(caught.value)
