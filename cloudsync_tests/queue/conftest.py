"""Queues of one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsync_tests.queue import rabbitmq


@pytest.fixture
def queues() -> Iterator[rabbitmq.Queues]:
    """Two queues in a real broker, deleted afterwards."""
    with rabbitmq.queues() as ours:
        yield ours


@pytest.fixture
def way(queues: rabbitmq.Queues) -> Iterator[rabbitmq.Way]:
    """A way to the broker that can be cut."""
    between = rabbitmq.Way(queues.url)
    try:
        yield between
    finally:
        between.close()
