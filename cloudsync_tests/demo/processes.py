"""Commands in processes of their own, and what they leave behind."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cloudsync_tests.cli.builders import COMMAND, plain_environment

_MARK = "CLOUDSYNC_TEST_MARK"


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie, which only waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Started:
    """A running command.

    Attributes:
        output: where everything goes that it prints.
    """

    def __init__(self, arguments: tuple[str, ...], output: Path, environment: Mapping[str, str]) -> None:
        self.output = output
        self._mark = f"{_MARK}={uuid.uuid4()}"
        name, _, text = self._mark.partition("=")
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**plain_environment(), **environment, name: text},
                cwd=output.parent,
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def until(self, what: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so, while the command runs."""
        deadline = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, f"it did not come:\n{self.text()}"
            time.sleep(0.1)

    def descendants(self) -> list[str]:
        """Command lines of the processes that it started, they or their children, and that still run."""
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdigit() or int(place.name) == self.process.pid or not alive(int(place.name)):
                continue
            try:
                variables = (place / "environ").read_bytes().split(b"\0")
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, ProcessLookupError):
                continue
            if self._mark.encode() in variables:
                found.append(command)
        return found


@contextmanager
def started(*arguments: str, output: Path, environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """A command that is ended at the end, whatever happened."""
    one = Started(arguments, output, environment or {})
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.terminate()
            try:
                one.process.wait(40)
            except subprocess.TimeoutExpired:
                one.process.kill()
        one.process.wait()
