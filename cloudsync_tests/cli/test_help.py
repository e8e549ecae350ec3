"""Every command is listed, explained, documented, and quick to ask about."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cloudsync_pipeline.cli.app import app
from cloudsync_pipeline.cli.exit_codes import MEANINGS
from cloudsync_tests.cli.builders import ROOT, plain_environment

EXPECTED = {
    "demo",
    "dev",
    "initial-sync",
    "incremental-sync",
    "reconcile",
    "plan",
    "status",
    "runs",
    "files",
    "integrations",
    "integrations list",
    "integrations pause",
    "integrations resume",
    "integrations remove",
    "integrations add",
    "integrations accept",
    "export-state",
    "inbox",
    "api",
    "api-key",
    "daemon",
    "consume",
    "alerts",
    "alerts test",
    "alerts list",
    "test",
    "devserver",
    "maintenance",
    "backup",
    "backups",
    "restore",
    "help",
    "plan show",
    "plan approve",
    "plan reject",
    "retry",
    "verify",
}
HEAVY = {"dagster", "duckdb", "boto3", "botocore", "pandas", "pyarrow", "aiohttp", "sqlalchemy", "pydantic", "fastapi"}


def commands(group: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in getattr(group or get_command(app), "commands", {}).items():
        yield f"{before}{name}", command
        yield from commands(command, f"{before}{name} ")


def test_the_commands_are_those_that_were_promised() -> None:
    assert {name for name, _ in commands()} >= EXPECTED


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_each_command_explains_itself_by_help_and_by_the_help_command(name: str) -> None:
    asked = CliRunner().invoke(app, [*name.split(), "--help"])
    told = CliRunner().invoke(app, ["help", *name.split()])
    assert asked.exit_code == 0
    assert told.exit_code == 0
    assert asked.stdout.strip() == told.stdout.strip()
    assert "Usage:" in asked.stdout


def test_each_command_stands_in_the_list_with_a_whole_sentence() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout
    for name, command in commands():
        if " " not in name:
            assert f"  {name} " in listed
            assert command.get_short_help_str(60).endswith("."), name


def test_help_lists_every_exit_code() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout.splitlines()
    for code, meaning in MEANINGS.items():
        assert f"  {code.value:>3}  {meaning}" in listed


def test_help_of_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["help", "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_readme_mentions_each_command(name: str) -> None:
    assert f"cloudsync {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", list(MEANINGS))
def test_the_readme_lists_each_exit_code(code: int) -> None:
    assert f"| {int(code)} |" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from cloudsync_pipeline.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], env=plain_environment(), capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(json.loads(ran.stdout))
