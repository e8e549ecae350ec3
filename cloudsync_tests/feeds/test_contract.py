"""The conformance suite, over every feed."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.feeds.memory import Delivery
from cloudsync_tests.contracts.feed import FeedContract
from cloudsync_tests.feeds.harnesses import HttpHarness, MemoryHarness
from cloudsync_tests.feeds.strange_server import StrangeServer


class TestMemoryFeed(FeedContract):
    @pytest.fixture(params=Delivery)
    def harness(self, request: pytest.FixtureRequest) -> MemoryHarness:
        return MemoryHarness(request.param)


class TestHttpFeed(FeedContract):
    @pytest.fixture(
        params=[("", ""), ("", "/"), ("acme", ""), ("customers/acme", "/")],
        ids=["bare", "slash", "prefix", "slash and prefix"],
    )
    def harness(self, request: pytest.FixtureRequest, server: DevServer, strange_server: StrangeServer) -> HttpHarness:
        prefix, slash = request.param
        return HttpHarness(server, strange_server, prefix=prefix, slash=slash)
