"""Keeps DuckDB from importing pandas, which it does for no other reason than to bind a parameter.

It compares each value bound with `pandas.NaT`, and to have that imports pandas (duckdb-python,
`python_conversion.cpp`): a second of CPU in each process that opens a lake, three times what an empty sync takes.
Where the import fails it goes on without, and asks again at the next value. Who imported pandas before keeps it, and
whoever imports it later, in this thread or another, gets it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


class _Finder(MetaPathFinder, threading.local):
    """Finds no pandas, in threads that are inside of `pandas_unseen`."""

    depth = 0

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if self.depth and fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed to bind a parameter", name=fullname)


_finder = _Finder()


@contextmanager
def pandas_unseen() -> Iterator[None]:
    """Within it, this thread does not find a pandas that is not imported yet. For calls of DuckDB only."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.depth += 1
    try:
        yield
    finally:
        _finder.depth -= 1
