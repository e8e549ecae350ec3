"""Who is let in: credentials and certificates."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer, running
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.devserver.client import save, send


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with running(tmp_path_factory.mktemp("guarded"), bearer="s3cret", header=("X-Api-Key", "k3y")) as server:
        yield server


@pytest.mark.parametrize("proof", [{"Authorization": "Bearer s3cret"}, {"x-api-key": "k3y"}])
def test_of_several_proofs_any_one_suffices(guarded: DevServer, proof: dict[str, str]) -> None:
    assert send(guarded, "GET", "/", headers=proof).status == 200


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"Authorization": "Bearer s3cre"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer k3y"},
        {"X-Api-Key": "other"},
        {"X-Token": "s3cret"},
    ],
)
def test_without_a_proof_nobody_is_let_in(guarded: DevServer, proof: dict[str, str]) -> None:
    reply = send(guarded, "GET", "/", headers=proof)
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/saveToDisk"),
        ("POST", "/updatePermissions"),
        ("GET", "/pubSubFullList?count=1"),
        ("POST", "/reportResults"),
        ("GET", "/files"),
        ("GET", "/files/content?file_path=a"),
        ("POST", "/admin/events"),
        ("DELETE", "/admin/events"),
        ("GET", "/admin/results"),
        ("GET", "/admin/stats"),
        ("GET", "/unknown"),
    ],
)
def test_every_route_is_guarded(guarded: DevServer, method: str, path: str) -> None:
    assert send(guarded, method, path).status == 401


def test_an_upload_of_a_stranger_stores_nothing(guarded: DevServer) -> None:
    assert save(guarded, "create", "a", b"x").status == 401
    assert guarded.files() == {}


def test_secrets_stand_in_no_command_line_and_no_repr(guarded: DevServer) -> None:
    assert b"s3cret" not in Path(f"/proc/{guarded.pid}/cmdline").read_bytes()
    assert "s3cret" not in repr(guarded.settings)


def test_basic_credentials_may_hold_colons_and_any_letters(tmp_path: Path) -> None:
    with running(tmp_path, basic=("ann", "pässword:with:colons")) as server:
        assert send(server, "GET", "/", headers={"Authorization": basic("ann:pässword:with:colons")}).status == 200
        refused = send(server, "GET", "/", headers={"Authorization": basic("ann:wrong")})
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Basic")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def test_with_a_certificate_it_speaks_tls_only(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("server")
    with running(tmp_path, tls_cert=certificate, tls_key=key) as server:
        assert server.url.startswith("https://")
        assert server.stats()["files"] == 0
        trusting = ssl.create_default_context(cafile=str(authority.certificate))
        assert send(server, "GET", "/", context=trusting).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            send(server, "GET", "/", context=ssl.create_default_context())
        with pytest.raises(ConnectionError):
            send(server, "GET", "/")


def test_with_a_client_ca_only_its_clients_are_let_in(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("server-for-clients")
    with running(tmp_path, tls_cert=certificate, tls_key=key, client_ca=authority.certificate) as server:
        known = ssl.create_default_context(cafile=str(authority.certificate))
        known.load_cert_chain(*authority.issue("client"))
        assert send(server, "GET", "/", context=known).status == 200

        unknown = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            send(server, "GET", "/", context=unknown)
