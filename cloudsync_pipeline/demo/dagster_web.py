"""Dagster's web server and daemon as `dg dev` runs them, and what is asked of its GraphQL API."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudsync_pipeline.core.errors import BadAnswer, Unreachable
from cloudsync_pipeline.demo import processes
from cloudsync_pipeline.demo.ports import LOOPBACK
from cloudsync_pipeline.demo.world import LOCATION, World

READY_SECONDS = 120.0
STOP_SECONDS = 25.0
_POLL_SECONDS = 0.3

_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
_LOCATIONS = (
    "{ locationStatusesOrError { ... on WorkspaceLocationStatusEntries { entries { name loadStatus } } "
    "... on PythonError { message } } }"
)
_RELOAD = """
mutation ($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
    ... on ReloadNotSupported { message }
    ... on RepositoryLocationNotFound { message }
  }
}
"""


@dataclass(frozen=True, slots=True)
class DagsterWeb:
    """A running `dg dev`.

    Attributes:
        url: of the web UI.
        log: what web server and daemon write.
    """

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def reload(self) -> str | None:
        """Load the code location anew; None, or why it does not load.

        Raises:
            Unreachable: the web server does not answer.
        """
        answer = self._ask(_RELOAD, {"name": LOCATION}, timeout=120)["reloadRepositoryLocation"]
        found = answer.get("locationOrLoadError") or answer
        message = found.get("message")
        return None if message is None else str(message).strip().splitlines()[-1]

    def daemon_healthy(self) -> bool:
        """Whether every daemon that is needed works: the queue, schedules and sensors among them."""
        statuses = self._ask(_DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(one["healthy"] for one in statuses if one["required"])

    def loaded(self) -> bool:
        """Whether the code location is there."""
        entries = self._ask(_LOCATIONS)["locationStatusesOrError"].get("entries", [])
        return any(one["name"] == LOCATION and one["loadStatus"] == "LOADED" for one in entries)

    def _ask(self, query: str, variables: dict[str, Any] | None = None, *, timeout: float = 10) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables or {}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - our own server
                document = json.load(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(
                f"Dagster's web server does not answer: {error}", remedy=f"Its log is {self.log}."
            ) from error
        if document.get("errors"):
            raise BadAnswer(f"Dagster's web server refuses: {document['errors'][0]['message']}")
        data: dict[str, Any] = document["data"]
        return data


@contextmanager
def running(world: World, port: int) -> Iterator[DagsterWeb]:
    """Web server and daemon, for the length of a `with` block.

    Raises:
        ConfigError: `dg` is not installed.
        Unreachable: they did not start.
    """
    log = world.folder / "logs" / "dagster.log"
    log.parent.mkdir(exist_ok=True)
    command = [
        processes.program("dg", "dagster-dg-cli"),
        "dev",
        f"--workspace={world.dagster_home / 'workspace.yaml'}",
        f"--host={LOOPBACK}",
        f"--port={port}",
        "--log-level=info",
    ]
    process = processes.start(command, log=log, environment=world.environment, folder=world.folder)
    web = DagsterWeb(f"http://{LOOPBACK}:{port}", log, process)
    try:
        _wait(web)
        yield web
    finally:
        # `dg dev` ends the servers that it started when it is interrupted.
        processes.stop(process, within=STOP_SECONDS)


def _wait(web: DagsterWeb) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if web.process.poll() is not None:
            raise Unreachable(
                f"Dagster ended at once: {processes.tail(web.log, 3)}", remedy=f"Its whole log is {web.log}."
            )
        try:
            if web.loaded() and web.daemon_healthy():
                return
        except (Unreachable, BadAnswer):
            pass  # not listening yet
        time.sleep(_POLL_SECONDS)
    raise Unreachable(f"Dagster did not get ready within {READY_SECONDS:.0f} s.", remedy=f"Its log is {web.log}.")
