"""What makes a process quick to start and to end: for one that runs a command and is gone."""

from __future__ import annotations

import atexit
import gc
import os
import sys

COLLECT_EVERY = (50_000, 20, 20)
"""Objects made until garbage is looked for, and rounds until older objects are looked at. With Python's own figures a
tenth of the CPU time of starting goes to looking through modules, which all stay."""


def lean() -> None:
    """Set this process up so. To be called before anything else is imported."""
    gc.set_threshold(*COLLECT_EVERY)
    # What is still there when a process ends is let go by ending; looking for garbage in it takes 0.05 s.
    atexit.register(gc.freeze)
    # No command computes with NumPy, and Arrow imports it only because it is there: 0.06 s and 12 MB. All or nothing:
    # pandas on an Arrow that started without NumPy ends the process, so here it is not found either.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]  # how Python is told that a module is not to be found
    # In processes that a command starts, which may need it, NumPy would start threads that look for work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
