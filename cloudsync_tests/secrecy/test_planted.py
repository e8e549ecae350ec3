"""What a deployment with secrets of every kind says and stores, working and failing, holds none of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import boto3
import dagster as dg
import pytest
import sqlalchemy as sa

from cloudsync_pipeline import devserver, logs, wiring
from cloudsync_pipeline.alerts import tell
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.config.settings import LoggingSettings
from cloudsync_pipeline.engine.session import utc_now
from cloudsync_tests.alerts.receivers import Hook, mail_server
from cloudsync_tests.cli.builders import forget_logging
from cloudsync_tests.control.postgres import emptied
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.e2e.builders import a_bucket, an_event, on_servers
from cloudsync_tests.house.root import ROOT
from cloudsync_tests.lake.places import Servers
from cloudsync_tests.secrecy.deployment import LOGGING, Planted, configure_files, configure_secrets_manager
from cloudsync_tests.secrecy.planted import SECRETS, Remains, spellings
from cloudsync_tests.servers import S3Server, running_seaweedfs, unused_port
from cloudsync_tests.vaults.conftest import Vault

READING = (
    ("status",),
    ("runs",),
    ("files", "-i", "good"),
    ("integrations", "list"),
    ("plan",),
    ("test",),
    ("verify", "-i", "good"),
    ("alerts", "list"),
    ("alerts", "test"),
    ("backup",),
    ("backups",),
)
"""Commands that show something; each is asked for people and as JSON."""
ALERTS, REPORTS = "address of the alerts' webhook", "address that results are reported to"


@pytest.fixture(scope="module")
def remains(
    seaweedfs: S3Server, moto: S3Server, postgres_server: sa.URL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remains]:
    """All that is left of it: what commands, answers and log lines said, and what was stored and sent."""
    folder = tmp_path_factory.mktemp("secrecy")
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    emptied(postgres_server)
    remains = Remains()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
            patch.delenv(name, raising=False)
        patch.setenv("PLANTED_TOKEN", SECRETS["token from the environment"])
        patch.setattr("cloudsync_pipeline.wiring.secrets.TRUSTED_FOR", 0.0)
        logging.getLogger().addHandler(remains)
        stack.callback(logging.getLogger().removeHandler, remains)
        stack.callback(forget_logging)
        stack.callback(logs.configure_file, LoggingSettings())
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))

        _from_files(stack, folder, seaweedfs, postgres_server, instance, remains)
        patch.setenv("AWS_ACCESS_KEY_ID", "vault")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "vault")
        _from_secrets_manager(stack, folder, moto, instance, remains)
        _lakes_on_servers(folder, postgres_server, instance, remains)
        remains.add_database(postgres_server)
        remains.add_folder(home)
        yield remains


def _from_files(
    stack: ExitStack, folder: Path, storage: S3Server, postgres: sa.URL, instance: dg.DagsterInstance, remains: Remains
) -> None:
    hooks = alerts, reports = Hook(), Hook()
    for hook, kind in ((alerts, ALERTS), (reports, REPORTS)):
        stack.callback(hook.close)
        hook.path = f"/services/T000/B000/{SECRETS[kind]}"
    authority = Authority(folder)
    _, port = stack.enter_context(mail_server(*authority.issue("mail")))
    mail = f"host: 127.0.0.1, port: {port}, ca_file: {authority.certificate}, user: sync, from: a@b.c, to: [d@e.f]"
    server = stack.enter_context(devserver.running(folder / "files", bearer=SECRETS["bearer token"], access_log=True))
    bucket = a_bucket(storage, {"a.txt": b"alpha", "folder/b.txt": b"beta"})
    # The server trusts whoever comes by its socket, so that any password opens it.
    database = postgres.set(drivername="postgresql", password=SECRETS["password of the control database"])
    planted = Planted.new(folder / "deployment", instance, remains)
    configure_files(planted, bucket, server, hooks, database, mail)

    assert planted.run("initial_sync", "good")
    bucket.put("c.txt", b"gamma")
    server.publish(an_event("good", "create", "c.txt"))
    server.publish({"event_type": "nonsense"}, raw=True)
    reports.status = 500
    assert planted.run("incremental_sync", "good")
    for name in ("token", "basic", "login", "away", "key"):
        assert not planted.run("incremental_sync", name)
    planted.command("reconcile", "--direct", "-i", "good", "-i", "token", "-i", "key", "-i", "login", json=False)
    for command in READING:
        planted.command(*command)
    planted.command("consume", json=False)
    with pytest.MonkeyPatch.context() as with_instance:
        with_instance.setenv("DAGSTER_HOME", str(folder / "dagster"))
        planted.command("consume", json=False)
    planted.ask_everything("good")
    planted.ask_everything("key")
    fleet = load_fleet(planted.place.config)
    remains.add("outcomes of alerts", str(tell(fleet, lambda: wiring.open_control(fleet.settings), utc_now())))
    alerts.status = 500
    remains.add("outcomes of alerts", str(tell(fleet, lambda: wiring.open_control(fleet.settings), utc_now())))
    remains.add("messages of alerts", json.dumps(alerts.got))
    remains.add("reports", json.dumps(reports.got) + json.dumps(server.results(), default=str))
    remains.add("log of the file manager", server.log())
    remains.add("the configuration as Python shows it", repr(fleet))
    remains.add_lakes(fleet)
    _what_cannot_be_used(planted)
    remains.add_folder(planted.place.folder)


def _what_cannot_be_used(planted: Planted) -> None:
    """A database that is away, and secrets that are no addresses."""
    assert planted.command("status") == 0
    password = quote(SECRETS["password of a database that is away"], safe="")
    away = f"postgresql://fleet:{password}@127.0.0.1:{unused_port()}/fleet"
    for text in (away, away.replace("postgresql://", "nonsense://"), away.partition("://")[2]):
        planted.put("database", text)
        assert planted.command("status") != 0
        assert planted.command("backup", "--control") != 0
    for name, kind in (("queue", "password of the message queue"), ("alerts", ALERTS), ("reports", REPORTS)):
        planted.put(name, SECRETS[kind])
        assert planted.command("status") != 0


def _from_secrets_manager(
    stack: ExitStack, folder: Path, moto: S3Server, instance: dg.DagsterInstance, remains: Remains
) -> None:
    port, token = unused_port(), SECRETS["token from Secrets Manager"]
    server = stack.enter_context(devserver.running(folder / "more", port=port, bearer=token))
    vault = Vault(moto.endpoint, boto3.client("secretsmanager", endpoint_url=moto.endpoint, region_name="eu-central-1"))
    # A file cannot stand where a folder is: one of them goes into quarantine.
    bucket = a_bucket(moto, {"a": b"alpha", "a/b": b"beta"})
    planted = Planted.new(folder / "vaulted", instance, remains)
    configure_secrets_manager(planted, bucket, server, vault)
    planted.run("initial_sync", "vaulted")
    vault.put("token", SECRETS["rotated token from Secrets Manager"])
    # It is refused as well, after it was read anew.
    server.stop()
    server = stack.enter_context(devserver.running(folder / "more", port=port, bearer="another"))
    for name in ("vaulted", "missing"):
        assert not planted.run("reconcile", name)
    planted.command("test")
    remains.add_lakes(load_fleet(planted.place.config))
    remains.add_folder(planted.place.folder)


def _lakes_on_servers(folder: Path, postgres: sa.URL, instance: dg.DagsterInstance, remains: Remains) -> None:
    with running_seaweedfs() as storage:
        server = storage.rotate(SECRETS["secret key of the lakes' bucket"])
        planted = Planted.new(folder / "shared", instance, remains)
        lakes = Servers(postgres.set(password=SECRETS["password of the lakes' catalogs"]), server, server.new_bucket())
        section = on_servers(lakes.catalog, lakes, "lakes").replace(server.secret_key, "'${secret:lakes-key}'")
        section = section.replace(lakes.catalog, "${secret:catalog}")
        planted.place.config.write_text(f"{section}secrets: {{folder: {planted.vault}}}\n{LOGGING}")
        planted.place.local("shared", {"a.txt": "alpha"})
        planted.put("catalog", lakes.catalog)
        planted.put("lakes-key", server.secret_key)
        assert planted.run("initial_sync", "shared")
        planted.put("lakes-key", SECRETS["wrong secret key of the lakes' bucket"])
        assert not planted.run("reconcile", "shared")
        assert planted.command("verify", "-i", "shared") != 0
        planted.put("lakes-key", server.secret_key)
        away = sa.make_url(lakes.catalog).set(host="127.0.0.1", port=unused_port(), query={})
        planted.put("catalog", away.render_as_string(hide_password=False))
        assert not planted.run("reconcile", "shared")
        assert planted.command("status") != 0
    remains.add_folder(planted.place.folder)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_shown_nowhere(remains: Remains, kind: str) -> None:
    assert remains.places_of(SECRETS[kind]) == []


def test_the_storage_s_own_key_is_shown_nowhere(remains: Remains, seaweedfs: S3Server) -> None:
    places = remains.places_of(seaweedfs.secret_key)
    # The fleet's file of this test names it.
    assert [one for one in places if not one.startswith("deployment/integrations/")] == []


def test_everything_was_searched(remains: Remains) -> None:
    everywhere = " ".join(remains.places_of("good"))
    for place in (
        "answers of the API", "cloudsync status", "cloudsync status --json", "database: public.run_results",
        "dagster/storage/", "(rows)", "deployment/logs/sync.log", "events of Dagster: good", "lake of good: runs",
        "log of the file manager", "messages of alerts", "records of logging", "reports",
        "the configuration as Python shows it",
    ):  # fmt: skip
        assert place in everywhere, place
    assert "lake of vaulted: outcomes" in remains.places_of("a/b")
    assert any("ducklake_" in place for place in remains.places_of("shared"))


@pytest.mark.parametrize(
    "text",
    [
        "does not accept this login", "SignatureDoesNotMatch", "HTTP 401", "without user name and password", "HTTP 500",
        "no connection to", "is not in Secrets Manager", "quarantined", "email could not be told",
    ],
)  # fmt: skip
def test_errors_of_every_kind_were_met(remains: Remains, text: str) -> None:
    assert remains.places_of(text) != []


@pytest.mark.parametrize("spelling", sorted(spellings(SECRETS["bearer token"])))
def test_a_secret_would_be_found_however_it_is_spelled(spelling: bytes) -> None:
    said = Remains({"a log": b"before " + spelling + b" after"})
    assert said.places_of(SECRETS["bearer token"]) == ["a log"]
