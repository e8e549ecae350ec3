"""A file manager that speaks TLS only and asks everyone for proof: content, feed and report all go that way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.cli.builders import Place, Ran, forget_logging
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.e2e.builders import HTTP_FEED, Bucket, Deployment, a_bucket, an_event, held
from cloudsync_tests.servers import S3Server

NAME = "acme"
TOKEN = "token-that-must-not-be-shown"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def secured(authority: Authority, tmp_path: Path) -> Iterator[DevServer]:
    certificate, key = authority.issue("server")
    with devserver.running(tmp_path / "secured", tls_cert=certificate, tls_key=key, bearer=TOKEN) as server:
        yield server


@pytest.fixture
def bucket(seaweedfs: S3Server) -> Bucket:
    return a_bucket(seaweedfs, {"a.txt": b"alpha", "b.txt": b"beta"})


def into(server: DevServer, ca_file: Path | None, token: str = "${secret:files-token}", more: str = "") -> str:
    """The section `file_manager`, with a token from the secrets folder."""
    trusted = f", ca_file: {ca_file}" if ca_file else ""
    login = f"auth: {{type: bearer, token: '{token}'}}"
    return f"file_manager: {{type: http_api, url: '{server.url}', {login}{trusted}{more}}}\n"


def with_secret(deployment: Deployment) -> None:
    secrets = deployment.folder / "secrets"
    secrets.mkdir()
    (secrets / "files-token").write_text(f"{TOKEN}\n")
    deployment.config.write_text(f"database: {{path: state}}\nsecrets: {{type: files, folder: {secrets}}}\n")


def by_command(deployment: Deployment, *arguments: str) -> Ran:
    try:
        return Place(deployment.folder).run(*arguments)
    finally:
        forget_logging()


def test_content_events_and_reports_pass(
    deployment: Deployment, bucket: Bucket, secured: DevServer, authority: Authority
) -> None:
    with_secret(deployment)
    deployment.add(NAME, bucket.as_yaml(), into(secured, authority.certificate), HTTP_FEED)
    assert deployment.sync(NAME, Mode.INITIAL).verdict is Verdict.IN_SYNC
    bucket.put("c.txt", b"gamma")
    bucket.delete("a.txt")
    secured.publish(an_event(NAME, "create", "c.txt"), an_event(NAME, "delete", "a.txt"))

    result = deployment.sync(NAME)

    assert (result.verdict, result.listing, result.report_error) == (Verdict.IN_SYNC, None, None)
    assert held(secured, NAME) == {"b.txt": b"beta", "c.txt": b"gamma"}
    assert len(secured.results()) == 2


def test_a_client_certificate_is_shown_where_one_is_asked_for(
    deployment: Deployment, bucket: Bucket, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("server")
    ours, our_key = authority.issue("client")
    more = f", client_certificate: {ours}, client_key: {our_key}"
    started = devserver.running(tmp_path / "mutual", tls_cert=certificate, tls_key=key, client_ca=authority.certificate)
    with started as server:
        deployment.add(NAME, bucket.as_yaml(), into(server, authority.certificate, TOKEN, more), HTTP_FEED)
        result = deployment.sync(NAME, Mode.INITIAL)
    assert result.verdict is Verdict.IN_SYNC
    assert len(deployment.believed(NAME)) == 2


def test_a_wrong_token_is_one_message_that_does_not_show_it(
    deployment: Deployment, bucket: Bucket, secured: DevServer, authority: Authority
) -> None:
    deployment.add(NAME, bucket.as_yaml(), into(secured, authority.certificate, "a-wrong-token"), HTTP_FEED)
    ran = by_command(deployment, "initial-sync", "--direct")
    assert ran.code == 6
    [message] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert message.startswith(f"error: {NAME}: ")
    assert "credentials" in message
    assert "a-wrong-token" not in ran.err + ran.out


def test_a_server_that_is_not_trusted_gets_nothing(deployment: Deployment, bucket: Bucket, secured: DevServer) -> None:
    with_secret(deployment)
    deployment.add(NAME, bucket.as_yaml(), into(secured, None), HTTP_FEED)
    ran = by_command(deployment, "initial-sync", "--direct")
    assert ran.code == 6
    [message] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert "certificate" in message
    assert "ca_file" in message
    assert secured.files() == {}
