"""Secrets Manager: asked when a secret is used, remembered for a while, read anew when a login was rotated."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline import devserver, wiring
from cloudsync_pipeline.config import Fleet, load_fleet
from cloudsync_pipeline.config.ends import HttpApiFileManager, S3Storage
from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, Unreachable
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.vaults.aws import AwsSecrets
from cloudsync_tests.cli.builders import Place
from cloudsync_tests.config.builders import load, write
from cloudsync_tests.e2e.builders import a_bucket
from cloudsync_tests.servers import S3Server, unused_port
from cloudsync_tests.vaults.conftest import Vault

ACME = """
storage:
  type: s3
  endpoint: https://s3.example.com
  bucket: acme-data
  credentials: {access_key: "${secret:s3#key}", secret_key: "${secret:s3#secret}"}
file_manager:
  type: http_api
  url: https://files.example.com
  auth: {type: bearer, token: "Token-${secret:token}"}
  reporting_url: ${secret:hook}
"""


def storage_of(fleet: Fleet) -> S3Storage:
    storage = fleet.integration("acme").storage
    assert isinstance(storage, S3Storage)
    return storage


def reporting_url(fleet: Fleet) -> str:
    file_manager = fleet.integration("acme").file_manager
    assert isinstance(file_manager, HttpApiFileManager)
    assert file_manager.reporting_url is not None
    return file_manager.reporting_url.get_secret_value()


def secret_key(fleet: Fleet) -> str:
    key = storage_of(fleet).credentials.secret_key
    assert key is not None
    return key.get_secret_value()


def test_configuration_is_read_without_asking_and_a_secret_when_it_is_used(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put("s3", '{"key": "AKIA", "secret": "from-the-vault", "port": 7}')
    vault.put("hook", "https://reports.example.com/hook")
    with monkeypatch.context() as offline:
        offline.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
        fleet = load(tmp_path, vault.section(), acme=ACME)
        same = load(tmp_path, vault.section(), acme=ACME)
        assert fleet.errors == {}
        assert storage_of(fleet) == storage_of(same)
        assert "from-the-vault" not in repr(fleet)
    assert secret_key(fleet) == "from-the-vault"
    assert reporting_url(fleet) == "https://reports.example.com/hook"


def test_what_is_not_there_or_does_not_fit_is_named(tmp_path: Path, vault: Vault) -> None:
    fleet = load(tmp_path, vault.section(), acme=ACME)
    with pytest.raises(ConfigError, match=f"'{vault.prefix}s3' is not in Secrets Manager"):
        secret_key(fleet)
    vault.put("s3", "not-json-and-secret")
    with pytest.raises(ConfigError, match="the secret 's3' is not there: the secret is no JSON object") as refused:
        secret_key(fleet)
    vault.put("hook", "ftp://a-secret-place")
    with pytest.raises(ConfigError, match="'hook' does not fit: expected an address that begins") as no_address:
        reporting_url(fleet)
    assert "not-json-and-secret" not in str(refused.value)
    assert "a-secret-place" not in str(no_address.value)


def test_an_address_for_all_integrations_can_come_from_the_vault(tmp_path: Path, vault: Vault) -> None:
    fleet = load(
        tmp_path,
        f"{vault.nowhere()}api: {{endpoints: {{reporting: '${{secret:hook}}'}}}}\n",
        acme=ACME.replace("  reporting_url: ${secret:hook}\n", ""),
    )
    assert fleet.errors == {}
    with pytest.raises(Unreachable):
        reporting_url(fleet)


def test_only_what_is_a_secret_can_come_from_the_vault(tmp_path: Path, vault: Vault) -> None:
    text = ACME.replace("acme-data", "acme-data\n  prefix: ${secret:prefix}")
    assert "storage.prefix: a secret of Secrets Manager can stand only" in str(
        load(tmp_path, vault.section(), acme=text).errors["acme"]
    )


def test_settings_of_another_backend_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`type: aws` beside `region`"):
        load(tmp_path, "secrets: {region: eu-central-1}")


def test_a_secret_is_remembered_and_asked_for_again_after_its_time(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = AwsSecrets(region="eu-central-1", endpoint=vault.endpoint, prefix=vault.prefix, ttl=3600)
    vault.put("token", "one")
    assert secrets.get("token") == "one"
    vault.put("token", "two")
    assert secrets.get("token") == "one"
    assert secrets.get("token", fresh=True) == "two"
    vault.put("token", "three")
    assert secrets.get("token") == "two"
    monkeypatch.setattr(secrets, "_ttl", 0.0)
    assert secrets.get("token") == "three"


def test_a_service_that_is_away_costs_nobody_what_is_remembered(
    vault: Vault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = AwsSecrets(region="eu-central-1", endpoint=vault.endpoint, prefix=vault.prefix, ttl=0.01)
    vault.put("token", "one")
    assert secrets.get("token") == "one"
    away = AwsSecrets(region="eu-central-1", endpoint="http://127.0.0.1:1", ttl=0.01)
    monkeypatch.setattr(secrets, "_client", away._connect())
    _wait_until(lambda: secrets.age("token") > 0.01)
    with caplog.at_level(logging.WARNING):
        assert secrets.get("token") == "one"
    assert "is used" in caplog.text
    with pytest.raises(Unreachable, match="cannot be reached"):
        away.get("token")


def test_without_credentials_it_says_what_to_give(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(AccessDenied, match="AWS_PROFILE"):
        AwsSecrets(region="eu-central-1", endpoint=vault.endpoint).get("token")
    with pytest.raises(ConfigError, match=r"secrets\.region"):
        AwsSecrets(endpoint=vault.endpoint).get("token")


def test_logins_that_are_rotated_while_a_process_runs_are_read_anew(
    tmp_path: Path, vault: Vault, seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = a_bucket(seaweedfs, {"a.txt": b"alpha"})
    monkeypatch.setattr("cloudsync_pipeline.wiring.secrets.TRUSTED_FOR", 0.0)
    vault.put("s3", f'{{"secret": "{seaweedfs.secret_key}"}}')
    vault.put("token", "first-token")
    port = unused_port()
    login = "auth: {type: bearer, token: '${secret:token}'}"
    storage = bucket.as_yaml().replace(f"secret_key: {seaweedfs.secret_key}", "secret_key: ${secret:s3#secret}")
    target = f"file_manager: {{type: http_api, url: 'http://127.0.0.1:{port}', {login}}}\n"
    place = Place(tmp_path / "fleet")
    place.folder.mkdir()
    write(place.folder, f"database: {{path: state}}\n{vault.section(ttl='1h')}", acme=storage + target)

    def sync_once() -> Verdict:
        return asyncio.run(_synced(place))

    with devserver.running(tmp_path / "files", port=port, bearer="first-token"):
        assert sync_once() is Verdict.IN_SYNC
    with devserver.running(tmp_path / "files", port=port, bearer="second-token"):
        # Nobody has told the vault yet.
        with pytest.raises(AccessDenied):
            sync_once()
        vault.put("token", "second-token")
        assert sync_once() is Verdict.IN_SYNC
        # What is remembered of the storage's keys is refused as well, and read anew.
        vault.put("s3", '{"secret": "a-key-of-yesterday"}')
        wiring.secrets.renewed(load_fleet(place.config).integration("acme").storage)
        with pytest.raises(AccessDenied):
            sync_once()
        vault.put("s3", f'{{"secret": "{seaweedfs.secret_key}"}}')
        assert sync_once() is Verdict.IN_SYNC


async def _synced(place: Place) -> Verdict:
    run_id = new_run_id()
    async with wiring.open_session(load_fleet(place.config), "acme", run_id=run_id, purpose="test") as session:
        return (await sync(session, Mode.INCREMENTAL, run_id=run_id)).verdict


def _wait_until(what: Any) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
