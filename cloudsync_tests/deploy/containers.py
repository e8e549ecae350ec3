"""The services of docker-compose.yml as processes of this machine: their commands, probes and times to stop."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudsync_tests.house.root import ROOT, yaml_of

SERVICES: dict[str, dict[str, Any]] = yaml_of("docker-compose.yml")["services"]
READY_WITHIN = 240.0
SLOWER = 4
"""A busy machine may take so many times what a container has for stopping."""


@dataclass
class Container:
    """A service's process.

    Attributes:
        log: what it prints.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    _probe: list[str]
    _environment: dict[str, str]

    @property
    def grace(self) -> float:
        """Seconds that it has between SIGTERM and SIGKILL; Docker's default is 10."""
        return float(SERVICES[self.name].get("stop_grace_period", "10s").removesuffix("s"))

    def healthy(self) -> bool:
        """What its health check says."""
        ran = subprocess.run(
            self._probe, env=self._environment, cwd=self.log.parent, capture_output=True, timeout=240, check=False
        )
        return ran.returncode == 0

    def wait(self, port: int | None = None) -> None:
        """Until its health check passes.

        Args:
            port: where it listens; before it does, a check that takes seconds is not asked.
        """
        until = time.monotonic() + READY_WITHIN
        while not (_listening(port) and self.healthy()):
            assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-4000:]}"
            assert time.monotonic() < until, f"{self.name} is not healthy:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.5)

    def stop(self) -> int:
        """SIGTERM, as Docker sends it to the container's first process; its exit code. All of it must be gone then."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(self.grace * SLOWER)
        assert self._left() == [], f"{self.name} left processes behind"
        return code

    def kill(self) -> None:
        """End whatever is left of it."""
        for pid in [*self._left(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def _left(self) -> list[int]:
        """Processes of its session, itself aside; a container would end them by force."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                after_name = stat.read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(after_name[3]) == self.process.pid and after_name[0] != "Z":
                found.append(int(stat.parent.name))
        return [pid for pid in found if pid != self.process.pid]


def _listening(port: int | None) -> bool:
    with socket.socket() as one:
        return port is None or one.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Host:
    """Where services of compose run as processes.

    Attributes:
        folder: theirs alone.
        places: what stands in compose, and what it is here: folders, addresses, ports.
        environment: of all of them, beside what compose says.
    """

    folder: Path
    places: Mapping[str, str]
    environment: Mapping[str, str]

    def here(self, text: str) -> str:
        """A text of compose, with this machine's folders and ports."""
        found = re.compile("|".join(map(re.escape, sorted(self.places, key=len, reverse=True))))
        return found.sub(lambda match: self.places[match[0]], text)

    def start(self, name: str) -> Container:
        """Start a service's command; it is not waited for."""
        service = SERVICES[name]
        environment = {
            **_plain_environment(),
            **{key: self.here(value) for key, value in service.get("environment", {}).items()},
            **self.environment,
        }
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.here(word) for word in service["command"]],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        probe = [self.here(word) for word in service["healthcheck"]["test"][1:]]
        return Container(name, process, log, probe, environment)


def _plain_environment() -> dict[str, str]:
    """This process's, without what tells the project or Dagster where to work; programs are those of the venv."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("CLOUDSYNC_", "DAGSTER_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT)}
