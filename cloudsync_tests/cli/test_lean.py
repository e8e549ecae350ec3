"""A command's process finds no NumPy, all of it or none, and ends without looking for garbage."""

from __future__ import annotations

import re

from cloudsync_tests.children import python
from cloudsync_tests.house.root import ROOT

_LEAN = """
import atexit, gc, os
atexit.register(lambda: print("frozen" if gc.get_freeze_count() else "not frozen", flush=True))
from cloudsync_pipeline.cli.lean import COLLECT_EVERY, lean
lean()
assert gc.get_threshold() == COLLECT_EVERY
assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
import pyarrow, pyarrow.compute, pyarrow.parquet
assert pyarrow.compute.sum(pyarrow.array([1, 2])).as_py() == 3
for name in ("numpy", "pandas"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} was found")
print("as it is to be")
"""

_NUMPY_IS_THERE = """
import numpy
from cloudsync_pipeline.cli.lean import lean
lean()
import pandas, pyarrow
assert pyarrow.table({"a": [1]}).to_pandas()["a"].sum() == 1
print("as it was")
"""


def _said_by(code: str) -> list[str]:
    with python("-c", code) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return said.splitlines()


def test_a_lean_process_finds_neither_numpy_nor_pandas_and_says_so_by_an_error() -> None:
    assert _said_by(_LEAN) == ["as it is to be", "frozen"]


def test_a_process_that_has_numpy_already_keeps_it() -> None:
    assert _said_by(_NUMPY_IS_THERE) == ["as it was"]


def test_only_what_is_for_notebooks_asks_for_pandas() -> None:
    uses = (r"^\s*(?:import|from) (?:pandas|numpy)\b", r"\b(?:to_pandas|df|frame)\(", r"\blake(?:\.| import )frames\b")
    asking = re.compile("|".join(uses), re.MULTILINE)
    package = ROOT / "cloudsync_pipeline"
    found = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if asking.search(file.read_text(encoding="utf-8"))
    }
    assert found == {"lake/frames.py", "lake/lake.py"}
