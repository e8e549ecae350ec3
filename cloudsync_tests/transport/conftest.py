"""What several tests of this room ask for."""

from __future__ import annotations

from typing import cast

import pytest

from cloudsync_tests.transport.clients import Ask, by_aiohttp, by_fetcher


@pytest.fixture(params=[by_aiohttp, by_fetcher])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both of our clients: what goes wrong is told in the same words."""
    return cast("Ask", request.param)
