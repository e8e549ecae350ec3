"""The conformance suite, over every feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.feeds.memory import Delivery
from cloudsync_tests.contracts.feed import FeedContract
from cloudsync_tests.feeds.harnesses import HttpHarness, MemoryHarness
from cloudsync_tests.feeds.message_harnesses import InboxHarness, SqsHarness
from cloudsync_tests.feeds.strange_server import StrangeServer
from cloudsync_tests.servers import S3Server


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


class TestSqsFeed(FeedContract):
    @pytest.fixture
    def harness(self, moto: S3Server, strange_server: StrangeServer) -> SqsHarness:
        return SqsHarness(moto, strange_server)


class TestInboxFeed(FeedContract):
    @pytest.fixture
    def harness(self, control_url: str, tmp_path: Path) -> Iterator[InboxHarness]:
        harness = InboxHarness(control_url, tmp_path)
        yield harness
        harness.close()
