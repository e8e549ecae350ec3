"""Worlds that are closed again, each checked for what must always hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_tests.engine.world import World


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An empty world with a feed; its lake is DuckLake's own for tests marked `real_lake`, and else a quick one."""
    made = World(tmp_path, real_lake=request.node.get_closest_marker("real_lake") is not None)
    yield made
    made.check_debts()
    made.close()
