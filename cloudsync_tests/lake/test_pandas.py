"""pandas is for people: a sync, which needs none of it, does not pay for its import."""

from __future__ import annotations

import subprocess
import sys

_A_SYNC_AND_THEN_A_PERSON = """
import sys, tempfile
from pathlib import Path
from cloudsync_tests.engine.world import World

world = World(Path(tempfile.mkdtemp()), real_lake=True)
world.put("a", b"one")
world.sync()
world.put("a", b"two")
world.put("b", b"three")
result = world.sync()
assert result.execution.done, result
assert "pandas" not in sys.modules, "a sync imported pandas"

frame = world.lake.frame("SELECT path, confirmed_at FROM files")
assert sorted(frame["path"]) == ["a", "b"], frame

import duckdb, pandas, pyarrow
series = pandas.DataFrame({"a": [1.0, None]})
assert duckdb.sql("SELECT count(a) FROM series").fetchall() == [(1,)]
assert duckdb.execute("SELECT ?", [pandas.NaT]).fetchall() == [(None,)]
assert pyarrow.array(series["a"]).null_count == 1
"""


def test_a_process_that_syncs_imports_no_pandas_and_one_that_looks_still_has_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _A_SYNC_AND_THEN_A_PERSON], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
