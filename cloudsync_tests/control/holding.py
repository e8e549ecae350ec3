"""A process that holds an integration, until it is told to end or killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudsync_tests.children import python

_HOLDER = """
import sys
from contextlib import nullcontext
from pathlib import Path
from cloudsync_pipeline.control import Control, writer_lock
folder, integration, run_id, purpose, url = sys.argv[1:]
with (
    Control.open(url) if url else nullcontext() as control,
    writer_lock(
        Path(folder), integration=integration, run_id=run_id, purpose=purpose, leases=control and control.leases
    ),
):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(
    folder: Path, integration: str = "acme", *, run_id: str = "run-killed", purpose: str = "initial sync", url: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """It holds the lock by now.

    Args:
        folder: the integration's; another one is another machine's.
        url: of the control database that keeps the leases; without one, only this machine is locked.
    """
    process = python("-c", _HOLDER, folder, integration, run_id, purpose, url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()
