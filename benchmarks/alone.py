"""Runs a part of ours as the command runs it, process and all (`cli.lean`): `python -m benchmarks.alone NAME ...`.

NAME is a module of this package with a function `main`, which finds the rest in `sys.argv`. The bare loops that ours is
compared with run in the same way.
"""

from __future__ import annotations

import sys
from importlib import import_module

from cloudsync_pipeline.cli.lean import lean

if __name__ == "__main__":
    lean()
    import_module(f"benchmarks.{sys.argv.pop(1)}").main()
