"""The control database in both of its forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Control
from cloudsync_tests.control import postgres


@pytest.fixture(params=postgres.BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty control database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/control.sqlite"
    return postgres.emptied(request.getfixturevalue("postgres_server"))


@pytest.fixture
def control(url: str) -> Iterator[Control]:
    with Control.open(url) as opened:
        yield opened
