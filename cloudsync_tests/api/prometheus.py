"""A real Prometheus for tests, started by them on a port of its own; Debian's package, or whatever is on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudsync_tests.servers import unused_port

_READY_WITHIN = 120.0


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is; the test is skipped without it, and fails where CI=true."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed (Debian: apt-get install prometheus)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def prometheus(folder: Path, configuration: Path) -> Iterator[str]:
    """Its URL, once it is ready."""
    port = unused_port()
    command = [
        program("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as log:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        until = time.monotonic() + _READY_WITHIN
        while not _ready(url):
            assert running.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < until, "Prometheus is not ready"
            time.sleep(0.1)
        yield url
    finally:
        running.kill()
        running.wait()


def query(url: str, expression: str) -> dict[frozenset[tuple[str, str]], float]:
    """What an expression gives now: values by labels, without those that scraping adds."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=30, trust_env=False)
    document: dict[str, Any] = answer.json()
    assert document["status"] == "success", document
    added = {"__name__", "instance", "job"}
    return {
        frozenset((name, text) for name, text in one["metric"].items() if name not in added): float(one["value"][1])
        for one in document["data"]["result"]
    }


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
