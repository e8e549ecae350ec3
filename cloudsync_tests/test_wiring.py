"""Configuration becomes implementations, and everything that was opened is closed again."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import Fleet, IntegrationConfig, Settings, load_fleet
from cloudsync_pipeline.config.ends import CapabilityOverrides
from cloudsync_pipeline.control import Notice, holder
from cloudsync_pipeline.control.heartbeats import Heartbeats
from cloudsync_pipeline.core.errors import ConfigError, ContainerNotFound, LockHeld, LockLost, Paused, StateError
from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.feeds.http import HttpFeed
from cloudsync_pipeline.feeds.inbox import InboxFeed
from cloudsync_pipeline.feeds.memory import MemoryFeed
from cloudsync_pipeline.feeds.scope import Scope
from cloudsync_pipeline.feeds.sqs import SqsFeed
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.file_managers.fenced import Fenced
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager
from cloudsync_pipeline.file_managers.local import LocalFileManager
from cloudsync_pipeline.file_managers.memory import MemoryFileManager
from cloudsync_pipeline.storage.local import LocalStorage
from cloudsync_pipeline.storage.memory import MemoryStorage
from cloudsync_pipeline.storage.s3 import S3Storage
from cloudsync_pipeline.transport.sigv4 import AwsCredentials

T = TypeVar("T")

FAKES = "storage: {type: memory, name: a}\nfile_manager: {type: memory, name: a}\n"
HTTP = """
storage: {type: memory}
file_manager:
  type: http_api
  url: https://files.example.com/api
  auth: {type: header, name: X-Api-Key, value: hunter2}
  connect_timeout: 3
  read_timeout: 4
  timeout: 5
  verify_tls: false
  client_certificate: client.pem
  reporting_url: https://hooks.example.com/?key=1
  reporting_auth: {type: bearer, token: t}
  capabilities: {delete: false, max_name_bytes: 100}
feed: {type: http, event_paths: bare}
"""


def fleet(folder: Path, text: str = FAKES, name: str = "acme") -> Fleet:
    """A fleet of one integration."""
    (folder / "integrations").mkdir(exist_ok=True)
    (folder / "integrations" / f"{name}.yaml").write_text(text)
    (folder / "cloudsync.yaml").write_text("")
    return load_fleet(folder / "cloudsync.yaml", {})


def integration(folder: Path, text: str = FAKES) -> IntegrationConfig:
    return fleet(folder, text).integration("acme")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def is_held(configured: Fleet, name: str = "acme") -> bool:
    found = holder(configured.settings.integration_folder(name))
    return found is not None and found.alive


async def visit(configured: Fleet, *, even_if_paused: bool = False) -> None:
    """Open a session and do nothing in it."""
    async with wiring.open_session(configured, "acme", run_id="r", purpose="visit", even_if_paused=even_if_paused):
        pass


# --- implementations ----------------------------------------------------------------------------


def test_importing_it_costs_no_vendor() -> None:
    heavy = ["boto3", "botocore", "aiohttp", "duckdb", "pyarrow", "pandas", "sqlalchemy", "dagster"]
    code = f"import sys, cloudsync_pipeline.wiring; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"


def test_s3_is_opened_as_configured(tmp_path: Path) -> None:
    config = integration(
        tmp_path,
        """
storage:
  type: s3
  endpoint: http://127.0.0.1:9
  bucket: data
  prefix: in
  region: eu-west-1
  credentials: {access_key: AKIA, secret_key: hunter2, session_token: hunter3}
  addressing: path
  provider: seaweedfs
  verify_tls: false
  connect_timeout: 3
  read_timeout: 4
  max_connections: 5
  page_size: 6
  listing_parallelism: 7
file_manager: {type: memory}
""",
    )

    storage = wiring.open_storage(config)

    assert isinstance(storage, S3Storage)
    assert storage.identity["bucket"] == "data"
    settings = storage._settings
    assert (settings.access_key, settings.secret_key, settings.session_token) == ("AKIA", "hunter2", "hunter3")
    assert (settings.prefix, settings.region, settings.addressing) == ("in/", "eu-west-1", "path")
    assert (settings.page_size, settings.listing_parallelism) == (6, 7)
    assert (settings.http.connect_timeout, settings.http.read_timeout, settings.http.max_connections) == (3, 4, 5)
    assert settings.http.verify_tls is False


def test_a_setting_that_an_adapter_refuses_is_an_error_of_its_integration(tmp_path: Path) -> None:
    config = integration(tmp_path, "storage: {type: s3, bucket: data, provider: nobody}\nfile_manager: {type: memory}")

    with pytest.raises(ConfigError, match=r"^acme: 'nobody' is no known vendor"):
        wiring.open_storage(config)


def test_folders_are_opened_as_configured(tmp_path: Path) -> None:
    config = integration(
        tmp_path, "storage: {type: local, path: source}\nfile_manager: {type: local, path: files, create: true}"
    )

    storage, file_manager = wiring.open_storage(config), wiring.open_file_manager(config)

    assert isinstance(storage, LocalStorage)
    assert storage.identity["root"] == str(tmp_path / "source")
    assert isinstance(file_manager, LocalFileManager)
    assert file_manager.identity["root"] == str(tmp_path / "files")
    assert file_manager.identity["destination_prefix"] == "acme"


def test_the_http_api_is_opened_as_configured(tmp_path: Path) -> None:
    file_manager = wiring.open_file_manager(integration(tmp_path, HTTP))

    assert isinstance(file_manager, HttpApiFileManager)
    assert file_manager.identity["base_url"] == "https://files.example.com/api"
    assert file_manager.identity["destination_prefix"] == "acme"
    assert file_manager.capabilities.delete is False
    assert file_manager.capabilities.max_name_bytes == 100
    settings = file_manager._settings
    assert settings.auth is not None
    assert settings.auth.headers() == {"X-Api-Key": "hunter2"}
    assert settings.reporting_url == "https://hooks.example.com/?key=1"
    assert settings.reporting_auth is not None
    assert settings.reporting_auth.headers() == {"Authorization": "Bearer t"}
    assert (settings.http.connect_timeout, settings.http.read_timeout, settings.timeout) == (3, 4, 5)
    assert settings.http.verify_tls is False
    assert settings.http.client_cert_file == str(tmp_path / "client.pem")


def test_an_http_feed_is_opened_with_the_file_managers_login(tmp_path: Path) -> None:
    feed = wiring.open_feed(integration(tmp_path, HTTP), Settings())

    assert isinstance(feed, HttpFeed)
    assert feed.identity["url"] == "https://files.example.com/api"
    assert feed._prefix is None
    assert feed._client._auth is not None
    assert feed._client._auth.headers() == {"X-Api-Key": "hunter2"}
    assert feed._client.settings.connect_timeout == 3


def test_every_ability_can_be_configured() -> None:
    assert set(CapabilityOverrides.model_fields) == {
        field.name for field in dataclasses.fields(FileManagerCapabilities)
    }


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("{type: bearer, token: t}", {"Authorization": "Bearer t"}),
        ("{type: basic, username: u, password: p}", {"Authorization": "Basic dTpw"}),
        ("{type: none}", None),
    ],
)
def test_each_login_is_sent_in_its_way(tmp_path: Path, auth: str, header: dict[str, str] | None) -> None:
    config = integration(tmp_path, HTTP.replace("{type: header, name: X-Api-Key, value: hunter2}", auth))

    login = wiring.open_feed(config, Settings())._client._auth  # type: ignore[attr-defined] # it is an HttpFeed

    assert (login.headers() if login else None) == header


SQS = """
storage: {type: s3, bucket: acme-data, prefix: team, credentials: {access_key: AKIA, secret_key: hunter2}}
file_manager: {type: memory}
feed:
  type: sqs
  queue_url: https://sqs.eu-central-1.amazonaws.com/123456789012/acme
  visibility_timeout: 5m
  wait: 3
  page_size: 50
  read_timeout: 7
"""


def queue_of(folder: Path, text: str) -> SqsFeed:
    feed = wiring.open_feed(integration(folder, text), Settings())
    assert isinstance(feed, SqsFeed)
    return feed


def test_a_queue_is_opened_for_the_part_of_the_bucket_that_is_synced(tmp_path: Path) -> None:
    feed = queue_of(tmp_path, SQS)
    settings = feed._settings
    assert feed._scope == Scope(bucket="acme-data", prefix="team/", path_prefix=None, shared=False)
    assert (settings.visibility_timeout, settings.wait, settings.page_size) == (300, 3, 50)
    assert settings.http.read_timeout == 7
    assert feed.identity == {
        "type": "sqs",
        "queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/acme",
        "bucket": "acme-data",
        "prefix": "team/",
    }


def test_events_may_name_the_bucket_otherwise_and_share_their_queue(tmp_path: Path) -> None:
    text = SQS.replace("type: sqs", "type: sqs\n  bucket: acme-data-real\n  shared: true")
    assert queue_of(tmp_path, text)._scope == Scope(bucket="acme-data-real", prefix="team/", shared=True)


def test_a_queue_of_amazons_is_read_with_the_keys_of_a_bucket_of_amazons(tmp_path: Path) -> None:
    assert queue_of(tmp_path, SQS)._settings.credentials == AwsCredentials("AKIA", "hunter2")


@pytest.mark.parametrize(
    "text",
    [
        SQS.replace("bucket: acme-data,", "bucket: acme-data, endpoint: 'https://s3.example.com',"),
        SQS.replace("https://sqs.eu-central-1.amazonaws.com", "https://queues.example.com"),
        SQS.replace("type: sqs", "type: sqs\n  endpoint: https://queues.example.com"),
        SQS.replace("credentials: {access_key: AKIA, secret_key: hunter2}", "credentials: {anonymous: true}"),
    ],
)
def test_the_keys_of_a_bucket_go_to_no_queue_of_somebody_else(tmp_path: Path, text: str) -> None:
    assert queue_of(tmp_path, text)._settings.credentials == AwsCredentials()


def test_a_queue_has_keys_of_its_own_where_they_are_given(tmp_path: Path) -> None:
    text = SQS + "  credentials: {access_key: other, secret_key: key, session_token: t}\n"
    assert queue_of(tmp_path, text)._settings.credentials == AwsCredentials("other", "key", "t")
    text = SQS + "  credentials: {profile: acme}\n"
    assert queue_of(tmp_path, text)._settings.credentials == AwsCredentials(profile="acme")


def test_the_inbox_is_that_of_the_control_database(tmp_path: Path) -> None:
    configured = fleet(tmp_path, f"{FAKES}feed: {{type: inbox}}\n")
    with wiring.open_control(configured.settings) as control:
        control.ensure("acme")
        control.inbox.put("acme", [Notice({"event_type": "create", "file_path": "/a"})])

    async def received() -> list[tuple[str, ...]]:
        async with wiring.open_feed(configured.integration("acme"), configured.settings) as feed:
            return [event.keys for event in (await feed.receive(limit=10)).events]

    assert run(received()) == [("a", "/a")]


def test_paths_in_the_inbox_may_begin_with_the_destination_prefix(tmp_path: Path) -> None:
    feed = wiring.open_feed(integration(tmp_path, f"{FAKES}feed: {{type: inbox, event_paths: prefixed}}\n"), Settings())
    assert isinstance(feed, InboxFeed)
    assert feed._scope == Scope(path_prefix="acme")


def test_without_a_feed_there_is_none_to_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^acme: it has no event feed\. Add a section `feed:`"):
        wiring.open_feed(integration(tmp_path), Settings())


def test_fakes_of_one_name_are_shared(tmp_path: Path) -> None:
    text = f"{FAKES}feed: {{type: memory, name: a}}\n"
    one, two = integration(tmp_path, text), integration(tmp_path, text.replace("name: a", "name: b"))

    assert isinstance(wiring.open_storage(one), MemoryStorage)
    assert isinstance(wiring.open_feed(one, Settings()), MemoryFeed)
    assert wiring.open_storage(one) is wiring.open_storage(one)
    assert wiring.open_storage(one) is not wiring.open_storage(two)
    assert wiring.open_feed(one, Settings()) is wiring.open_feed(one, Settings())
    files = wiring.open_file_manager(one), wiring.open_file_manager(one), wiring.open_file_manager(two)
    held = [one.held for one in files if isinstance(one, MemoryFileManager)]
    assert held[0] is held[1]
    assert held[0] is not held[2]


# --- the lake -----------------------------------------------------------------------------------


def test_a_lake_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    settings = fleet(tmp_path).settings

    with pytest.raises(StateError, match="There is no lake"), wiring.open_lake(settings, "acme", read_only=True):
        pass


def test_a_lake_is_written_under_the_lock_and_read_without(tmp_path: Path) -> None:
    configured = fleet(tmp_path)
    settings = configured.settings

    with wiring.open_lake(settings, "acme", run_id="r1", purpose="maintenance") as lake:
        assert lake.folder == tmp_path / "state" / "integrations" / "acme"
        assert is_held(configured)
        with wiring.open_lake(settings, "acme", read_only=True) as reader:
            assert reader.read_only
        with (
            pytest.raises(LockHeld, match="Run r1 \\(maintenance;"),
            wiring.open_lake(settings, "acme", run_id="r2", purpose="sync"),
        ):
            pass

    assert not is_held(configured)


def test_a_writer_that_has_lost_its_lock_commits_nothing_more(tmp_path: Path) -> None:
    with wiring.open_lake(fleet(tmp_path).settings, "acme", run_id="r1", purpose="maintenance") as lake:
        (lake.folder / "lock").unlink()
        with pytest.raises(LockLost, match="was replaced while run r1 held it"):
            lake.commit(
                lambda connection: connection.execute("INSERT INTO files (path) VALUES ('a')"), run_id="r1", step="late"
            )
        assert lake.read("SELECT path FROM files") == []


# --- a session ----------------------------------------------------------------------------------


def test_a_session_has_everything_one_sync_works_with(tmp_path: Path) -> None:
    configured = fleet(
        tmp_path,
        f"{FAKES}feed: {{type: memory}}\nsync: {{interval: 10m, transfers: 3}}\npolicy: {{deletes: keep}}\n",
    )

    async def look() -> None:
        async with wiring.open_session(configured, "acme", run_id="r", purpose="sync") as session:
            assert session.integration == "acme"
            assert isinstance(session.storage, MemoryStorage)
            assert isinstance(session.file_manager, Fenced)
            assert isinstance(session.feed, MemoryFeed)
            assert not session.lake.read_only
            assert session.interval == timedelta(minutes=10)
            assert session.reconcile_interval == timedelta(days=1)
            assert session.policy.transfers == 3
            assert session.policy.deletes is DeletePolicy.KEEP
            assert session.identity["storage.type"] == "memory"
            assert session.identity["file_manager.destination_prefix"] == "acme"

    run(look())


def test_a_session_without_a_feed_has_none(tmp_path: Path) -> None:
    async def look() -> None:
        async with wiring.open_session(fleet(tmp_path), "acme", run_id="r", purpose="sync") as session:
            assert session.feed is None
            assert session.reconcile_interval == session.interval

    run(look())


def test_the_fleet_knows_who_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = fleet(tmp_path)
    beaten = threading.Event()
    beat = Heartbeats.beat

    def told(self: Heartbeats, *names: str, **values: Any) -> None:
        beat(self, *names, **values)
        beaten.set()

    monkeypatch.setattr(Heartbeats, "beat", told)

    async def look() -> None:
        async with wiring.open_session(configured, "acme", run_id="r7", purpose="sync") as session:
            assert is_held(configured)
            assert session.control is not None
            assert session.control.get("acme").name == "acme"
            await asyncio.wait_for(asyncio.to_thread(beaten.wait), 30)
            assert session.control.heartbeats.all()[0].run_id == "r7"

    run(look())

    with wiring.open_control(configured.settings) as control:
        assert control.heartbeats.all() == []
    assert not is_held(configured)


def test_a_second_session_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    configured = fleet(tmp_path)

    async def look() -> None:
        async with wiring.open_session(configured, "acme", run_id="r1", purpose="initial sync"):
            with pytest.raises(LockHeld, match="Run r1 \\(initial sync;"):
                await visit(configured)

    run(look())


def test_a_paused_integration_is_not_opened_unless_a_person_asks(tmp_path: Path) -> None:
    configured = fleet(tmp_path)
    with wiring.open_control(configured.settings) as control:
        control.ensure("acme")
        control.pause("acme", "moving house")

    with pytest.raises(Paused, match="moving house"):
        run(visit(configured))
    assert not is_held(configured)
    run(visit(configured, even_if_paused=True))


def test_an_integration_that_cannot_be_used_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="storage: is missing"):
        run(visit(fleet(tmp_path, "file_manager: {type: memory}")))


def test_an_unknown_integration_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no integration 'acme'"):
        run(visit(fleet(tmp_path, name="globex")))


def test_a_file_manager_that_is_not_there_leaves_nothing_open(tmp_path: Path) -> None:
    configured = fleet(tmp_path, "storage: {type: memory}\nfile_manager: {type: local, path: gone}")

    with pytest.raises(ContainerNotFound):
        run(visit(configured))

    assert not is_held(configured)
    with wiring.open_control(configured.settings) as control:
        assert control.heartbeats.all() == []


def test_a_session_that_fails_is_closed_in_reverse_and_unlocked_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = fleet(tmp_path, f"{FAKES}feed: {{type: memory}}\n")
    closed: list[tuple[str, bool]] = []

    def note(kind: type[object], name: str) -> None:
        async def leave(self: object, *exc: object) -> None:
            closed.append((name, is_held(configured)))

        monkeypatch.setattr(kind, "__aexit__", leave)

    note(MemoryStorage, "storage")
    note(MemoryFileManager, "file manager")
    note(MemoryFeed, "feed")

    async def fail() -> None:
        async with wiring.open_session(configured, "acme", run_id="r", purpose="sync"):
            raise KeyError("something broke")

    with pytest.raises(KeyError, match="something broke"):
        run(fail())
    assert closed == [("feed", True), ("file manager", True), ("storage", True)]
    assert not is_held(configured)
