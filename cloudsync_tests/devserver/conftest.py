"""One devserver for the tests that need nothing special of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_tests.devserver.client import save


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Shared: a test uses paths of its own."""
    with running(tmp_path_factory.mktemp("devserver")) as server:
        yield server


@pytest.fixture(scope="package")
def _mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with running(tmp_path_factory.mktemp("mortal")) as server:
        yield server


@pytest.fixture
def own_server(_mortal: DevServer) -> DevServer:
    """Empty, and for one test alone: to be killed, restarted and looked into."""
    for path in _mortal.files():
        save(_mortal, "delete", path)
    _mortal.call("DELETE", "/admin/events")
    _mortal.call("DELETE", "/admin/results")
    return _mortal
