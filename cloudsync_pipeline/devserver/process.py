"""Running the devserver as a process of its own, for tests and demonstrations."""

from __future__ import annotations

import base64
import json
import os
import selectors
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from cloudsync_pipeline.devserver.settings import Settings

READY_SECONDS = 30.0


class DevServer:
    """A devserver in a subprocess that accepts connections; it ends with the process that started it.

    Attributes:
        settings: as given, with the port that was chosen.
        url: base URL, without a slash at the end.
        pid: of the subprocess.
    """

    def __init__(self, settings: Settings) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it did not start; the message holds what it wrote to standard error.
        """
        self._start(settings)

    def _start(self, settings: Settings) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_release`
        arguments, secrets = _command_line(settings)
        package_root = str(Path(__file__).resolve().parents[2])
        search = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "cloudsync_pipeline.devserver", "--until-stdin-closes", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **secrets, "PYTHONPATH": search},
        )
        self.pid = self._process.pid
        self.url = self._wait_until_ready()
        self.settings = replace(settings, port=urlsplit(self.url).port or 0)

    def _wait_until_ready(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + READY_SECONDS
            if selector.select(max(0.0, deadline - time.monotonic())):
                line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            self._process.wait()
            log = self.log()
            self._release()
            raise RuntimeError(f"the devserver did not start:\n{log}")
        url: str = json.loads(line)["url"]
        return url

    def log(self) -> str:
        """What it wrote to standard error since its last start."""
        if self._log.closed:
            return self._last_log
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def stop(self) -> int:
        """End it by SIGTERM, by SIGKILL where that does not help; returns its exit code. Repeatable."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(self.settings.shutdown_seconds + 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._release()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._release()

    def restart(self) -> None:
        """Start it again at the same address, after `stop` or `kill`."""
        self.stop()
        self._start(self.settings)

    def _release(self) -> int:
        code = self._process.wait()
        self._last_log = self.log()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()
        return code

    # --- looking inside, for assertions and demonstrations ---------------------------------------

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send JSON, return the JSON answered. Raises urllib.error.HTTPError for a status of 400 or more."""
        return json.loads(self._open(method, path, body))

    def publish(self, *events: Any, raw: bool = False) -> None:
        """Add events to the feed; `raw` takes any JSON, malformed events too."""
        self.call("POST", "/admin/events?raw=true" if raw else "/admin/events", list(events))

    def files(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Every file below a prefix, by path."""
        found: dict[str, dict[str, Any]] = {}
        query = f"?prefix={quote(prefix, safe='')}"
        after = ""
        while True:
            page = self.call("GET", f"/files{query}{after}")
            found.update((file["file_path"], file) for file in page["files"])
            if page["next"] is None:
                return found
            after = f"&after={quote(page['next'], safe='')}"

    def content(self, path: str) -> bytes:
        return self._open("GET", f"/files/content?file_path={quote(path, safe='')}")

    def results(self) -> list[dict[str, Any]]:
        """What was reported to it, oldest first."""
        return [received["results"] for received in self.call("GET", "/admin/results")["results"]]

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.call("GET", "/admin/stats")
        return stats

    def _open(self, method: str, path: str, body: Any = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own URL
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **_proof(self.settings)},
        )
        context = None
        if self.settings.tls_cert is not None:
            context = ssl.create_default_context(cafile=str(self.settings.tls_cert))
            # The server's own certificate is what we trust, whoever signed it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


def launch(root: Path | str, **settings: Any) -> DevServer:
    """Start a devserver on a folder; whoever calls it stops it. Keyword arguments are those of `Settings`."""
    return DevServer(Settings(root=Path(root), **settings))


@contextmanager
def running(root: Path | str, **settings: Any) -> Iterator[DevServer]:
    """A devserver on a folder for the length of a `with` block. Keyword arguments are those of `Settings`."""
    server = launch(root, **settings)
    try:
        yield server
    finally:
        server.stop()


def _command_line(settings: Settings) -> tuple[list[str], dict[str, str]]:
    arguments = ["--root", str(settings.root), "--host", settings.host, "--port", str(settings.port)]
    secrets: dict[str, str] = {}
    if settings.bearer is not None:
        arguments += ["--bearer-env", "DEVSERVER_BEARER"]
        secrets["DEVSERVER_BEARER"] = settings.bearer
    if settings.basic is not None:
        arguments += ["--basic-env", "DEVSERVER_BASIC"]
        secrets["DEVSERVER_BASIC"] = ":".join(settings.basic)
    if settings.header is not None:
        arguments += ["--header", settings.header[0], "--header-env", "DEVSERVER_HEADER"]
        secrets["DEVSERVER_HEADER"] = settings.header[1]
    for option, path in (
        ("--tls-cert", settings.tls_cert),
        ("--tls-key", settings.tls_key),
        ("--client-ca", settings.client_ca),
    ):
        if path is not None:
            arguments += [option, str(path)]
    # With `=`, since permissions may begin with a dash.
    arguments += [f"--permissions={settings.permissions}", f"--owner={settings.owner}", f"--group={settings.group}"]
    arguments += ["--shutdown-seconds", str(settings.shutdown_seconds)]
    arguments += ["--no-fsync"] if not settings.fsync else []
    arguments += ["--access-log"] if settings.access_log else []
    return arguments, secrets


def _proof(settings: Settings) -> dict[str, str]:
    if settings.bearer is not None:
        return {"Authorization": f"Bearer {settings.bearer}"}
    if settings.basic is not None:
        return {"Authorization": "Basic " + base64.b64encode(":".join(settings.basic).encode()).decode()}
    if settings.header is not None:
        return dict([settings.header])
    return {}
