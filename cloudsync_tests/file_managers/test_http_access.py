"""Who we are to the file manager, how TLS proves who it is, and that no secret is ever shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, CloudSyncError, ConfigError, Rejected, TlsFailed, Unreachable
from cloudsync_pipeline.devserver import running
from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager, HttpApiSettings
from cloudsync_pipeline.transport.auth import Auth, BasicAuth, BearerAuth, HeaderAuth
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.contracts.file_manager import an_upload
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.file_managers.http_servers import DIRECT, against, answering, raw_server, saying
from cloudsync_tests.scripted import Asked, Reply, scripted

SECRET = "s3cr3t-that-must-not-be-shown"


async def use(url: str, auth: Auth | None = None, http: HttpSettings = DIRECT) -> None:
    """Everything that proves access: connecting, writing, asking."""
    async with HttpApiFileManager(HttpApiSettings(url, "tenant", auth=auth, http=http)) as manager:
        await manager.put("small", an_upload(b"x"))
        await manager.put("large", an_upload(bytes(1_000_000)))
        await manager.health()
        await manager.report({"success": True})


@pytest.mark.parametrize(
    ("enforced", "right", "wrong"),
    [
        ({"bearer": SECRET}, BearerAuth(SECRET), BearerAuth("wrong")),
        ({"basic": ("user", SECRET)}, BasicAuth("user", SECRET), BasicAuth("user", "wrong")),
        ({"header": ("X-Api-Key", SECRET)}, HeaderAuth("X-Api-Key", SECRET), HeaderAuth("X-Api-Key", "wrong")),
    ],
    ids=["bearer", "basic", "header"],
)
def test_each_kind_of_proof_lets_in(tmp_path: Path, enforced: dict[str, Any], right: Auth, wrong: Auth) -> None:
    with running(tmp_path, **enforced) as server:
        asyncio.run(use(server.url, right))
        for other in (None, wrong):
            with pytest.raises(AccessDenied) as caught:
                asyncio.run(use(server.url, other))
            assert caught.value.remedy


def test_tls_with_an_authority_of_our_own_and_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    client, client_key = authority.issue("client")
    trusting = replace(DIRECT, ca_file=str(authority.certificate))
    proving = replace(trusting, client_cert_file=str(client), client_key_file=str(client_key))
    settings = {"tls_cert": certificate, "tls_key": key, "client_ca": authority.certificate, "bearer": SECRET}
    with running(tmp_path / "root", **settings) as server:
        assert server.url.startswith("https://")
        asyncio.run(use(server.url, BearerAuth(SECRET), proving))
        with pytest.raises(TlsFailed, match="not trusted"):
            asyncio.run(use(server.url, BearerAuth(SECRET)))
        with pytest.raises((TlsFailed, Unreachable)):
            asyncio.run(use(server.url, BearerAuth(SECRET), trusting))
        with pytest.raises(CloudSyncError):
            asyncio.run(use(server.url.replace("https", "http"), BearerAuth(SECRET)))


def test_nobody_there_is_unreachable() -> None:
    async def within() -> None:
        async def nothing(reader: object, writer: object) -> None:
            return

        async with raw_server(nothing) as url:
            pass
        with pytest.raises(Unreachable) as caught:
            await use(url)
        assert caught.value.remedy

    asyncio.run(within())


def test_a_wrong_base_url_is_told_when_connecting() -> None:
    with pytest.raises(ConfigError, match="GET / answers 404") as caught:
        against(lambda _: Reply(404), lambda manager: manager.connect())
    assert caught.value.remedy


def test_health_proves_the_credentials_where_the_greeting_is_open_to_all() -> None:
    with pytest.raises(AccessDenied):
        against(answering(Reply(401)), lambda manager: manager.health())


def test_a_healthy_file_manager_may_know_nothing_of_the_path_asked_for() -> None:
    against(answering(Reply(404)), lambda manager: manager.health())


def test_a_base_url_may_have_a_path() -> None:
    async def within() -> list[str]:
        async with scripted(lambda asked: Reply(body=b"{}")) as server:
            async with HttpApiFileManager(HttpApiSettings(f"{server.url}/api/v1/", http=DIRECT)) as manager:
                await manager.report({})
            return [asked.target for asked in server.asked]

    assert asyncio.run(within()) == ["/api/v1/", "/api/v1/reportResults"]


# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth", [BearerAuth(SECRET), BasicAuth("user", SECRET), HeaderAuth("X-Api-Key", SECRET)], ids=type
)
def test_a_server_that_repeats_our_secret_does_not_make_it_public(auth: Auth) -> None:
    def parrot(asked: Asked) -> Reply:
        sent = [*asked.headers.values(), SECRET]
        return Reply(400, body=json.dumps({"detail": " ".join(sent)}).encode())

    http = replace(DIRECT, headers={"X-Tracking": f"other-{SECRET}"})
    with pytest.raises(Rejected) as caught:
        against(parrot, lambda manager: manager.get("file"), auth=auth, http=http)
    shown = [str(caught.value), repr(caught.value), caught.value.message, str(caught.value.args)]
    for value in (SECRET, *auth.headers().values()):
        assert all(value not in text for text in shown)
        assert all(value.split(" ")[-1] not in text for text in shown)


def test_settings_show_no_secret() -> None:
    settings = HttpApiSettings(
        "https://files.example",
        auth=BearerAuth(SECRET),
        http=replace(DIRECT, headers={"X-Secret": SECRET}),
        reporting_url=f"https://hooks.example/?token={SECRET}",
        reporting_auth=BasicAuth("user", SECRET),
    )
    manager = HttpApiFileManager(settings)

    assert SECRET not in repr(settings)
    assert SECRET not in repr(manager)
    assert SECRET not in str(manager.identity)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@files.example",
        f"https://{SECRET}@files.example",
        f"https://files.example/?token={SECRET}",
        f"https://files.example/#{SECRET}",
        f"ftp://files.example/{SECRET}",
        f"{SECRET}",
        f"http://[{SECRET}",
        "",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpApiSettings(url)
    assert SECRET not in str(caught.value)
    assert caught.value.remedy


# --- reports ------------------------------------------------------------------------------------


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[Any, Any]]:
    async with scripted(saying()) as own, scripted(lambda _: Reply(204)) as other:
        yield own, other


def test_results_go_to_the_file_manager() -> None:
    results = {"sync_type": "initial", "success": True, "errors": ["ü"]}
    _, asked = against(saying(), lambda manager: manager.report(results), auth=BearerAuth(SECRET))

    assert (asked[-1].method, asked[-1].target) == ("POST", "/reportResults")
    assert asked[-1].headers["content-type"] == "application/json"
    assert asked[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert json.loads(asked[-1].body) == results


def test_another_receiver_of_reports_gets_none_of_the_file_managers_secrets() -> None:
    async def within() -> None:
        async with two_servers() as (own, other):
            settings = HttpApiSettings(
                own.url,
                auth=BearerAuth(SECRET),
                http=replace(DIRECT, headers={"X-Secret": SECRET}),
                reporting_url=f"{other.url}/hook?x=1",
                reporting_auth=HeaderAuth("X-Hook", "its own"),
            )
            async with HttpApiFileManager(settings) as manager:
                await manager.report({"success": True})
            assert [asked.target for asked in other.asked] == ["/hook?x=1"]
            assert SECRET not in str(other.asked[0].headers)
            assert other.asked[0].headers["x-hook"] == "its own"

    asyncio.run(within())


def test_a_report_that_is_refused_is_an_error() -> None:
    with pytest.raises(AccessDenied):
        against(answering(Reply(403)), lambda manager: manager.report({}))
