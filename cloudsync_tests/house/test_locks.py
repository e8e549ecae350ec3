"""requirements/: what is installed is what was tested, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from cloudsync_tests.house.root import ROOT, pyproject

EXTRAS = {"runtime": [], "demo": ["demo"], "cluster": ["cluster"], "test": ["test"]}
EVERY_LOCK = pytest.mark.parametrize("lock", sorted([*EXTRAS, "installer"]))
EACH_LOCK = pytest.mark.parametrize("lock", sorted(EXTRAS))


@cache
def lines(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return [line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")]


@cache
def pinned(lock: str) -> dict[str, set[str]]:
    """Versions by name: more than one where systems or Pythons differ."""
    pins: dict[str, set[str]] = {}
    for line in lines(lock):
        name, version = re.match(r"([a-z0-9._-]+)==([^\s;]+)", line).groups()  # type: ignore[union-attr]
        pins.setdefault(name, set()).add(version)
    return pins


def wanted(extras: Iterable[str]) -> list[Requirement]:
    """What pyproject.toml asks for, with those extras; extras of ours that an extra names included."""
    project = pyproject()["project"]
    texts = [*project["dependencies"], *pyproject()["dependency-groups"]["build"]]
    waiting = list(extras)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            if Requirement(text).name == project["name"]:
                waiting += Requirement(text).extras
            else:
                texts.append(text)
    return [Requirement(text) for text in texts]


def test_each_lock_is_here() -> None:
    assert {file.stem for file in (ROOT / "requirements").iterdir()} == {*EXTRAS, "installer"}


@EACH_LOCK
def test_a_lock_holds_all_that_is_wanted(lock: str) -> None:
    pins = pinned(lock)
    wrong = [
        str(requirement)
        for requirement in wanted(EXTRAS[lock])
        if not (versions := pins.get(requirement.name.lower(), set()))
        or not all(requirement.specifier.contains(Version(version)) for version in versions)
    ]

    assert wrong == [], "run: make lock"


@EVERY_LOCK
def test_every_file_is_known_by_its_hash(lock: str) -> None:
    assert [line for line in lines(lock) if "--hash=sha256:" not in line] == []


@EVERY_LOCK
def test_a_lock_names_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()

    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host", text)


@EACH_LOCK
def test_what_is_tested_is_what_runs(lock: str) -> None:
    tested = pinned("test")

    assert {name: versions for name, versions in pinned(lock).items() if versions != tested.get(name)} == {}
