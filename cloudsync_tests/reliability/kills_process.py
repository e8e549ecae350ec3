"""Real processes that can be killed at a point: the `cloudsync` command and Dagster's run worker.

Importing Dagster, boto3 and DuckDB takes longer than a small sync. So one process imports them and forks: each child
leads a session of its own, opens everything itself, and runs the command's own `main`. `python -m
cloudsync_tests.reliability.kills_process KIND` is that process; it reads a line of JSON for each child.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloudsync_pipeline.demo.processes import tail
from cloudsync_tests.cli.builders import plain_environment

LONGEST = 600.0
"""Seconds after which a child counts as stuck."""
KILLED = -signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code, negative for a signal, what it wrote, and the CPU seconds it took."""

    code: int
    log: str
    cpu: float

    @property
    def killed(self) -> bool:
        return self.code == KILLED


@dataclass(slots=True)
class Child:
    """A child that runs."""

    pid: int
    log: Path
    _parent: Preloaded

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; one that has ended already gets none."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for its end."""
        answer = self._parent.read(LONGEST)
        return Ended(answer["code"], self.log.read_text(encoding="utf-8", errors="replace"), answer["cpu"])


class Preloaded:
    """The process that forks; for the length of a `with` block. One child at a time.

    Args:
        kind: "command" or "dagster".
        folder: for logs.
        environment: of the children, besides what every process has.
    """

    def __init__(self, kind: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._count = 0
        own = folder / "preloaded.log"
        with own.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cloudsync_tests.reliability.kills_process", kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**plain_environment(), **(environment or {})},
            )
        self._own = own

    def start(self, *arguments: str, trace: Path | None = None, kill_at: int | None = None, only: str = "") -> Child:
        """Start a child.

        Args:
            arguments: of the command, or a run's id.
            trace, kill_at, only: see `kills_points.Points`.
        """
        self._count += 1
        log = self._folder / f"{self._count:03}.log"
        order = {
            "arguments": arguments,
            "log": str(log),
            "trace": None if trace is None else str(trace),
            "kill_at": kill_at,
            "only": only,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Child(self.read(LONGEST)["pid"], log, self)

    def run(self, *arguments: str, **points: Any) -> Ended:
        """Start a child and wait for its end."""
        return self.start(*arguments, **points).wait()

    def read(self, within: float) -> dict[str, Any]:
        """The next line that the process answers."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            until = time.monotonic() + within
            while selector.select(max(0.0, until - time.monotonic())):
                line = self._process.stdout.readline()
                if not line:
                    raise RuntimeError(f"it ended:\n{tail(self._own)}")
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise TimeoutError(f"no answer within {within:g} seconds:\n{tail(self._own)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# --- in the process that forks -------------------------------------------------------------------


def main(kind: str) -> None:
    """Fork a child for each order, until standard input ends."""
    work = {"command": _command, "dagster": _dagster}[kind]
    work(None)
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
            work(order["arguments"])
            os._exit(0)
        _answer({"pid": pid})
        _, status, used = os.wait4(pid, 0)
        _answer({"code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime})


def _answer(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _become(order: Mapping[str, Any]) -> None:
    """A process of its own: session, output, points."""
    from cloudsync_tests.reliability.kills_points import Points, arm

    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    if order["trace"] is not None or order["kill_at"] is not None:
        arm(Points(Path(order["trace"]) if order["trace"] else None, order["kill_at"], order["only"]))


def _command(arguments: Sequence[str] | None) -> None:
    """The `cloudsync` command; None only imports what it will."""
    from cloudsync_pipeline.cli import main as cloudsync

    if arguments is None:
        _import_what_a_sync_takes()
        return
    sys.argv = ["cloudsync", *arguments]
    try:
        cloudsync()
    except SystemExit as ended:
        _flush()
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    _flush()


def _dagster(arguments: Sequence[str] | None) -> None:
    """Dagster's run worker, as its launchers start it: `dagster api execute_run`; None only imports."""
    from dagster._cli import api

    if arguments is None:
        _import_what_a_sync_takes()
        import cloudsync_pipeline.definitions  # noqa: F401 - what the child's job consists of

        return
    try:
        api.api_cli(["execute_run", *arguments], standalone_mode=False)
    except SystemExit as ended:
        _flush()
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    _flush()


def _import_what_a_sync_takes() -> None:
    """The modules that the project imports only where it uses them."""
    import importlib

    for name in (
        "aiohttp",
        "boto3",
        "cloudsync_pipeline.cli.app",
        "cloudsync_pipeline.cli.syncing",
        "cloudsync_pipeline.control",
        "cloudsync_pipeline.engine.sync",
        "cloudsync_pipeline.engine.session",
        "cloudsync_pipeline.feeds.http",
        "cloudsync_pipeline.feeds.inbox",
        "cloudsync_pipeline.launch",
        "cloudsync_pipeline.file_managers.http_api",
        "cloudsync_pipeline.file_managers.local",
        "cloudsync_pipeline.lake",
        "cloudsync_pipeline.storage.local",
        "cloudsync_pipeline.storage.s3",
        "cloudsync_pipeline.wiring",
        # DuckDB and pyarrow import these at their first rows.
        "pandas",
        "pyarrow.pandas_compat",
        "pytz",
        "pyarrow.parquet",
    ):
        importlib.import_module(name)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


if __name__ == "__main__":
    main(sys.argv[1])
