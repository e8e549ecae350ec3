"""The repository's own files, as tests of the house read them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def yaml_of(*parts: str) -> dict[str, Any]:
    document = yaml.safe_load(ROOT.joinpath(*parts).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def make_targets() -> set[str]:
    """Those that the Makefile declares for people."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = [line for line in text.splitlines() if line.startswith(".PHONY:")]
    return set(phony.removeprefix(".PHONY:").split())
