"""Servers that all tests of a session share, each test with a bucket of its own; and in which order files are run."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.cli.lean import COLLECT_EVERY
from cloudsync_tests import servers
from cloudsync_tests.control import postgres
from cloudsync_tests.lake.places import Servers

# Half a gigabyte of modules and of tests is not looked through for garbage again and again.
gc.set_threshold(*COLLECT_EVERY)
# Nor do this and a thousand child processes start threads for NumPy, which nobody gives anything to compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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


@pytest.fixture(scope="session")
def lake_servers(postgres_server: sa.URL, seaweedfs: servers.S3Server) -> Servers:
    """What lakes of the cluster form are kept on. A database of their own: others empty theirs."""
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE lakes"))
    engine.dispose()
    return Servers(postgres_server.set(database="lakes"), seaweedfs, seaweedfs.new_bucket())


# What takes half a minute and more, the longest first: begun last, one of them would keep a single worker busy.
LONG = (
    "reliability/test_kills_sync.py",
    "engine/test_sync.py",
    "assets/test_approvals.py",
    "reliability/test_lives.py",
    "e2e/test_idempotence.py",
    "benchmarks/test_benchmarks.py",
    "demo/test_dev.py",
    "demo/test_demo.py",
    "api/test_openapi.py",
    "e2e/test_neighbours.py",
    "browser/test_web_ui.py",
    "assets/test_failed_operations.py",
    "cli/test_syncs.py",
    "reliability/test_kills_dagster.py",
    "api/test_monitoring.py",
    "cli/test_decisions.py",
    "lake/test_opening.py",
    "reliability/test_faults_file_manager.py",
    "reliability/test_full_disks.py",
    "reliability/test_faults_storage.py",
    "reliability/test_stopping.py",
    "deploy/test_running.py",
    "secrecy/test_planted.py",
    "test_dagster_postgres.py",
    "lake/test_taking_over.py",
    "e2e/test_taken_over.py",
)


def pytest_configure() -> None:
    """Processes that tests start are told to end by signals, which a runner in the background may have them ignore."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, each file's tests in their own order; workers take files in the order of collection."""
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: many tests wait for servers and processes that they have started."""
    return (os.cpu_count() or 1) + 2
