"""Worlds for the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_tests.engine.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty world with a feed."""
    made = World(tmp_path)
    yield made
    made.check_debts()
    made.close()
