"""A fleet of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_tests.cli.builders import Place, a_place, forget_logging


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty fleet; no Dagster instance and no other configuration is in sight."""
    for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    yield a_place(tmp_path)
    forget_logging()
