"""Python processes that tests start and end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python(*arguments: str | Path) -> subprocess.Popen[str]:
    """A process of this Python, which imports what this one can; its input and output are pipes of text."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
