"""Who imports whom, also where import-linter's contracts do not look, and that every exception is explained."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cloudsync_tests.house.root import ROOT

PACKAGE = ROOT / "cloudsync_pipeline"
ALL = sorted(PACKAGE.rglob("*.py"))
# The demo runs our definitions as a person would.
DAGSTER_ROOMS = {"resources", "assets", "sensors", "jobs", "schedules", "partitions", "definitions", "launch", "demo"}
IMPURE = {
    "asyncio", "glob", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "ssl",
    "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def room(file: Path) -> str:
    """The part of the package that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """The top of every module that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def importers_of(*modules: str) -> set[str]:
    return {room(file) for file in ALL if not set(modules).isdisjoint(imported(file))}


def test_core_needs_the_standard_library_alone() -> None:
    needed = {name for file in ALL if room(file) == "core" for name in imported(file)}

    assert needed - set(sys.stdlib_module_names) == {"cloudsync_pipeline"}


def test_core_does_nothing_that_the_outside_can_see() -> None:
    assert {name for file in ALL if room(file) == "core" for name in imported(file)} & IMPURE == set()


def test_only_dagster_rooms_import_dagster() -> None:
    assert importers_of("dagster", "dagster_aws", "dagster_postgres") <= DAGSTER_ROOMS


def test_only_the_lake_imports_duckdb() -> None:
    assert importers_of("duckdb") == {"lake"}


def test_every_style_rule_that_is_not_followed_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.findall(r'^  "[A-Z]+\d+", *(.*)$', text, re.MULTILINE)

    assert len(ignored) > 10
    assert [reason for reason in ignored if not re.match(r"# \S", reason)] == []
