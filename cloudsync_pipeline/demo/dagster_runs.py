"""Dagster runs in processes of their own, which live for several runs: loading Dagster takes longer than a run.

`python -m cloudsync_pipeline.demo.dagster_runs INTEGRATION` is such a process: for each name of a job that it reads it
executes the real job of the real definitions in the configured instance, and answers with a line of JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.demo import processes

LONGEST = 300.0
"""Seconds after which a run counts as stuck."""
_MARK = b"demo-run "


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run that ended.

    Attributes:
        run_id: Dagster's; None where it never began.
        seconds: that it took.
        log: what its process wrote.
    """

    job: str
    integration: str
    run_id: str | None
    success: bool
    seconds: float
    log: Path


class Worker:
    """A process that executes the jobs of one integration, one after the other; for the length of a `with` block.

    Args:
        environment: with DAGSTER_HOME and CLOUDSYNC_CONFIG.
        logs: folder of its log.
    """

    def __init__(self, integration: str, *, environment: Mapping[str, str], logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._integration = integration
        self._log = logs / f"dagster-runs-{integration}.log"
        self._job = ""
        self._since = 0.0
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "cloudsync_pipeline.demo.dagster_runs", integration],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        # Without an error it has nothing to do any more, and ends by itself at the end of its input.
        processes.stop(self._process, within=30.0)

    def start(self, job: str) -> None:
        """Let it execute a job."""
        self._job, self._since = job, time.monotonic()
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._process.stdin.write(job.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; `wait` says so

    def wait(self) -> JobRun:
        """Wait until the job that was started has ended.

        Raises:
            CloudSyncError: it does not end.
        """
        answer = self._answer()
        return JobRun(
            job=self._job,
            integration=self._integration,
            run_id=answer.get("run_id"),
            success=bool(answer.get("success")),
            seconds=time.monotonic() - self._since,
            log=self._log,
        )

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, self._since + LONGEST - time.monotonic())):
                line = self._process.stdout.readline()
                if not line:
                    return {}
                if line.startswith(_MARK):
                    answer: dict[str, Any] = json.loads(line.removeprefix(_MARK))
                    return answer
        raise CloudSyncError(
            f"The Dagster run of {self._job} does not end.",
            integration=self._integration,
            remedy=f"The log of its process is {self._log}.",
        )


def main(integration: str) -> None:
    """Execute jobs of one integration as standard input names them, until it ends."""
    from cloudsync_pipeline.definitions import defs
    from cloudsync_pipeline.partitions import INTEGRATIONS

    loaded = defs()
    with _instance() as instance:
        instance.add_dynamic_partitions(INTEGRATIONS, [integration])
        # Not `for line in sys.stdin`: that reads ahead.
        while line := sys.stdin.readline():
            job = loaded.resolve_job_def(line.strip())
            result = job.execute_in_process(instance=instance, partition_key=integration, raise_on_error=False)
            document = {"run_id": result.run_id, "success": result.success}
            sys.stdout.write(f"{_MARK.decode()}{json.dumps(document)}\n")
            sys.stdout.flush()


def _instance() -> Any:
    """The instance of DAGSTER_HOME; its databases are made by one process at a time."""
    import dagster as dg

    with (Path(os.environ["DAGSTER_HOME"]) / ".opening").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return dg.DagsterInstance.get()


if __name__ == "__main__":
    main(sys.argv[1])
