"""Every storage, feed and file manager of the package runs the suite of its contract."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cloudsync_tests.house.root import ROOT

SUITES = {"storage": "StorageContract", "feeds": "FeedContract", "file_managers": "FileManagerContract"}
METHODS = {
    "storage": {"list", "head", "read", "health"},
    "feeds": {"receive", "acknowledge", "health"},
    "file_managers": {"put", "move", "delete", "get", "set_permissions"},
}


def implementations(room: str) -> set[str]:
    """Classes of a room that have all methods of its contract, the contract itself aside."""
    found = set()
    for path in (ROOT / "cloudsync_pipeline" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and path.name != "base.py":
                methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
                if methods >= METHODS[room]:
                    found.add(node.name)
    return found


def run_by_the_suites(room: str) -> set[str]:
    """Names that the modules of a room's suites use, and the modules of tests that these import."""
    suites = [
        path
        for path in (ROOT / "cloudsync_tests" / room).glob("test_*.py")
        # Wrappers run the suite of what they wrap, by inheriting it.
        if f"{SUITES[room]})" in (text := path.read_text(encoding="utf-8"))
        or f"{SUITES[room]}," in text
        or "_contract import Test" in text
    ]
    names: set[str] = set()
    for path in suites:
        for module in (path, *_imported(path)):
            tree = ast.parse(module.read_text(encoding="utf-8"))
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            names |= {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return names


def _imported(path: Path) -> list[Path]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    files = [ROOT / f"{module.replace('.', '/')}.py" for module in modules if module.startswith("cloudsync_tests")]
    return [file for file in files if file.is_file()]


@pytest.mark.parametrize("room", SUITES)
def test_every_implementation_runs_the_suite_of_its_contract(room: str) -> None:
    assert implementations(room)
    assert implementations(room) - run_by_the_suites(room) == set()
