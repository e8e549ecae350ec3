"""A lake in both of its forms: what is tested here holds for both, unless a test says that it is about one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.cluster import Cluster
from cloudsync_tests.lake.builders import a_lake
from cloudsync_tests.lake.places import FORMS, Place, Servers, places


@pytest.fixture(params=FORMS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where lakes of one form are, by name."""
    return places(request.param, tmp_path, request)


@pytest.fixture(params=FORMS)
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    """An empty lake, open for writing."""
    if request.param == "folder":
        with a_lake(tmp_path / "lake") as opened:
            yield opened
        return
    servers: Servers = request.getfixturevalue("lake_servers")
    template: Cluster = request.getfixturevalue("template")
    name = f"copy_{uuid.uuid4().hex[:8]}"
    with a_lake(servers.copy(template, tmp_path / "lake", name)) as opened:
        yield opened
    servers.forget(name)


@pytest.fixture(scope="session")
def template(lake_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """An empty lake of the cluster form, to be copied."""
    location = lake_servers.location(tmp_path_factory.mktemp("lakes"), "template")
    a_lake(location).close()
    return location
