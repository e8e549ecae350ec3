"""What README and docs say is so: links lead somewhere, code runs, every table of a lake is explained."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

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
