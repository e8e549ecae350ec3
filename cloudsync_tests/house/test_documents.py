"""What README and docs say is so: links lead somewhere, code runs, every table of a lake is explained."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from cloudsync_pipeline.cli.app import app
from cloudsync_pipeline.config import reference
from cloudsync_pipeline.lake import schema

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks/README.md",
]
LINKS = [
    (document, link)
    for document in DOCUMENTS
    for link in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    if "://" not in link
]


@pytest.mark.parametrize(("document", "link"), LINKS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_relative_link_leads_to_a_file(document: Path, link: str) -> None:
    assert (document.parent / link).is_file()


PROMISES = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
NAMED_TESTS = sorted(set(re.findall(r"`(cloudsync_tests/[\w/]+\.py)(?:::(?:\w+::)?(\w+))?`", PROMISES)))


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS, ids=lambda value: value.rpartition("/")[-1])
def test_a_test_that_holds_a_promise_is_there(file: str, name: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(rf"^ *(?:async )?def {name}\(", source, re.MULTILINE)


def test_every_promise_has_a_test() -> None:
    table = PROMISES.partition("## Which test holds what")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    assert all("test_" in row for row in rows)
    assert {row[2] for row in rows if row[2].isdigit()} == set("12345678")


def test_the_configuration_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == reference.markdown(), "run: make docs"


def test_the_configuration_reference_explains_every_key() -> None:
    keys = [key for _, section in reference.sections() for key in section]
    named = {key.path.rsplit(".", 1)[-1] for key in keys}

    assert all(key.meaning for key in keys)
    assert {
        "backup_retention",
        "dagster_runs",
        "max_delete_ratio",
        "bucket",
        "queue_url",
        "destination_prefix",
    } <= named


@pytest.mark.parametrize("table", schema.TABLES)
def test_every_table_of_a_lake_is_explained(table: str) -> None:
    assert f"`{table}`" in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_the_library_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "integrations").mkdir()
    (tmp_path / "cloudsync.yaml").write_text("database: {path: state}\n")
    (tmp_path / "integrations" / "photos.yaml").write_text(
        "storage: {type: memory, name: readme}\nfile_manager: {type: memory, name: readme}\n"
    )
    monkeypatch.setenv("CLOUDSYNC_CONFIG", str(tmp_path / "cloudsync.yaml"))
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    asyncio.run(names["bring_over"]("photos"))
    names["look"]("photos")
    assert "in_sync" in capsys.readouterr().out


@pytest.mark.parametrize("document", ["README.md", "docs/operations.md"])
def test_dagster_s_databases_are_made_before_its_processes_open_them(document: str, tmp_path: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    (lines,) = re.findall(r"^export DAGSTER_HOME=.*?(?=^dagster-webserver)", text, re.MULTILINE | re.DOTALL)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-ec", lines], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, timeout=240)
    made = {str(file.relative_to(tmp_path / ".dagster_home")) for file in tmp_path.rglob("*.db")}
    assert made == {"history/runs.db", "history/runs/index.db", "schedules/schedules.db"}


OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {
        " ".join(command.split())
        for command in re.findall(r"^cloudsync [^#\n]+|(?<=`)cloudsync [^`]+(?=`)", OPERATIONS, re.MULTILINE)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_procedures_is_one_with_these_options(command: str) -> None:
    command_of: Any = typer.main.get_command(app)
    name, words, context = "cloudsync", shlex.split(command)[1:], None
    while True:
        context = command_of.make_context(name, words, parent=context)
        left = [*context._protected_args, *context.args]
        if not left:
            return
        # A group: what it did not take is a command of it, with its own options.
        name, command_of, words = command_of.resolve_command(context, left)


def test_each_procedure_that_an_operator_needs_is_there() -> None:
    titles = set(re.findall(r"^## (.+)$", OPERATIONS, re.MULTILINE))
    wanted = {"Install", "Upgrade", "Configure", "Monitor", "Back up", "Restore", "Scale", "Secure", "Troubleshoot"}
    assert wanted <= titles
    assert len(COMMANDS) > 25
