"""The servers that feeds are tested against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_tests.control import postgres
from cloudsync_tests.feeds.harnesses import TOKEN
from cloudsync_tests.feeds.strange_server import StrangeServer, strange


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Asks for a token."""
    with running(tmp_path_factory.mktemp("feed"), bearer=TOKEN, fsync=False) as server:
        yield server


@pytest.fixture(scope="package")
def strange_server() -> Iterator[StrangeServer]:
    with strange() as server:
        yield server


@pytest.fixture(params=postgres.BACKENDS)
def control_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty control database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/control.sqlite"
    return postgres.emptied(request.getfixturevalue("postgres_server"))
