"""Each resource opens one thing of one integration, as configured at that moment, and closes it again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.control import holder
from cloudsync_pipeline.core.errors import ConfigError, LockHeld, Paused, StateError
from cloudsync_pipeline.feeds.memory import MemoryFeed
from cloudsync_pipeline.file_managers.memory import MemoryFileManager
from cloudsync_pipeline.resources import (
    ControlResource,
    EventFeedResource,
    FileManagerResource,
    FleetResource,
    LakeResource,
    SessionResource,
    StorageResource,
)
from cloudsync_tests.dagster_fleet import FleetOfTests, a_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTests]:
    with a_fleet(tmp_path, "acme") as fleet:
        fleet.add("scan", feed=False)
        yield fleet


@pytest.fixture
def configured(fleet: FleetOfTests) -> FleetResource:
    return FleetResource(path=fleet.config)


def test_the_configuration_is_read_at_each_use(fleet: FleetOfTests, configured: FleetResource) -> None:
    assert "later" not in configured.load().integrations
    fleet.add("later")
    assert configured.integration("later").name == "later"


def test_without_a_path_the_environment_names_the_file(fleet: FleetOfTests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSYNC_CONFIG", fleet.config)
    assert FleetResource().load().integrations.keys() == {"acme", "scan"}


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    absent = FleetResource(path=str(tmp_path / "is-not-there.yaml"))
    for kind in (StorageResource, FileManagerResource, EventFeedResource, LakeResource, ControlResource):
        kind(fleet=absent)
    with pytest.raises(ConfigError):
        absent.load()


def test_the_storage_and_the_file_manager_are_those_that_are_configured(
    fleet: FleetOfTests, configured: FleetResource
) -> None:
    async def look() -> None:
        async with StorageResource(fleet=configured).open("acme") as storage:
            assert storage is fleet.storage("acme")
        async with FileManagerResource(fleet=configured).open("acme") as file_manager:
            assert isinstance(file_manager, MemoryFileManager)
            assert file_manager.called("connect")

    asyncio.run(look())


def test_the_feed_is_there_where_one_is_configured(configured: FleetResource) -> None:
    async def look() -> None:
        async with EventFeedResource(fleet=configured).open("acme") as feed:
            assert isinstance(feed, MemoryFeed)
        async with EventFeedResource(fleet=configured).open("scan") as feed:
            assert feed is None

    asyncio.run(look())


def test_the_control_database_is_the_fleets(fleet: FleetOfTests, configured: FleetResource) -> None:
    with ControlResource(fleet=configured).open() as control:
        control.ensure("acme")
    with fleet.control() as control:
        assert control.get("acme").name == "acme"


def test_a_lake_is_read_beside_its_writer_and_written_by_one_at_a_time(
    fleet: FleetOfTests, configured: FleetResource
) -> None:
    lakes = LakeResource(fleet=configured)
    with pytest.raises(StateError, match="no lake"), lakes.open("acme"):
        pass

    with lakes.open_for_writing("acme", run_id="r1", purpose="maintenance") as written:
        assert not written.read_only
        with lakes.open("acme") as read:
            assert read.read_only
        with pytest.raises(LockHeld, match="r1"), lakes.open_for_writing("acme", run_id="r2", purpose="maintenance"):
            pass


class TestSession:
    def sessions(self, configured: FleetResource) -> SessionResource:
        return SessionResource(fleet=configured, control=ControlResource(fleet=configured))

    def test_it_holds_everything_under_the_lock_and_lets_go(
        self, fleet: FleetOfTests, configured: FleetResource
    ) -> None:
        folder = fleet.load().settings.integration_folder("acme")

        async def look() -> None:
            async with self.sessions(configured).open("acme", run_id="r1", purpose="bucket_listing") as session:
                assert session.storage is fleet.storage("acme")
                assert session.feed is fleet.feed("acme")
                assert not session.lake.read_only
                held = holder(folder)
                assert held is not None
                assert (held.run_id, held.purpose) == ("r1", "bucket_listing")

        asyncio.run(look())
        assert holder(folder) is None

    def test_a_paused_integration_stays_closed(self, fleet: FleetOfTests, configured: FleetResource) -> None:
        with fleet.control() as control:
            control.ensure("acme")
            control.pause("acme", "the customer asked")

        async def look() -> None:
            async with self.sessions(configured).open("acme", run_id="r1", purpose="sync"):
                pass

        with pytest.raises(Paused, match="the customer asked"):
            asyncio.run(look())
