"""Servers that all tests of a session share; each test takes a bucket of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cloudsync_tests import servers
from cloudsync_tests.control import postgres


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[servers.S3Server]:
    """A real S3 server that keeps objects in folders and checks signatures."""
    with servers.seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[servers.S3Server]:
    """A mock of S3 that holds almost any key."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """A PostgreSQL of our own; only where it is installed."""
    with postgres.postgres() as url:
        yield url
