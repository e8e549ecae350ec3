"""An empty deployment for each test, and file managers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import save
from cloudsync_tests.e2e.builders import Deployment, a_deployment


@pytest.fixture(autouse=True)
def _no_other_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return a_deployment(tmp_path / "deployment")


@pytest.fixture(scope="package")
def _shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with devserver.running(tmp_path_factory.mktemp("file-manager")) as server:
        yield server


@pytest.fixture
def server(_shared_server: DevServer) -> DevServer:
    """A file manager for one test alone: no files, no events, no results."""
    for path in _shared_server.files():
        save(_shared_server, "delete", path)
    _shared_server.call("DELETE", "/admin/events")
    _shared_server.call("DELETE", "/admin/results")
    return _shared_server
