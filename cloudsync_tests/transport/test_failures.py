"""Foreign errors and status codes become ours."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_exceptions import UnixClientConnectorError
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ConfigError,
    NotFound,
    PreconditionFailed,
    Rejected,
    StorageFull,
    Throttled,
    TlsFailed,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.transport.failures import http_date, retry_after, status_error
from cloudsync_pipeline.transport.http_failures import translated
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.scripted import Reply, Then, in_turn, scripted
from cloudsync_tests.transport.clients import Ask


def ask_at(ask: Ask, url: str, key: str | None = None, **settings: Any) -> bytes:
    return asyncio.run(ask(HttpSettings(trust_env=False, **settings), url, key))


def ask_scripted(ask: Ask, reply: Reply, **settings: Any) -> bytes:
    async def main() -> bytes:
        async with scripted(in_turn(reply)) as server:
            return await ask(HttpSettings(trust_env=False, **settings), server.url, None)

    return asyncio.run(main())


class TestConnections:
    """Real sockets."""

    def test_a_closed_port_is_unreachable(self, ask: Ask) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            with pytest.raises(
                Unreachable, match=r"no connection to the server at http://127\.0\.0\.1:\d+: Connection refused"
            ) as caught:
                ask_at(ask, f"http://127.0.0.1:{held.getsockname()[1]}/path?token=secret", "some/key")
        assert caught.value.retryable
        assert caught.value.key == "some/key"
        assert caught.value.remedy
        assert "secret" not in str(caught.value)

    def test_an_unknown_host_is_unreachable(self, ask: Ask) -> None:
        with pytest.raises(Unreachable, match="cannot be resolved"):
            ask_at(ask, "http://no-such-host.invalid/")

    def test_silence_is_unreachable(self, ask: Ask) -> None:
        with pytest.raises(Unreachable, match="silent"):
            ask_scripted(ask, Reply(raw=b"", then=Then.STALL), read_timeout=0.1)

    def test_silence_within_a_body_is_unreachable(self, ask: Ask) -> None:
        with pytest.raises(Unreachable, match="silent"):
            ask_scripted(ask, Reply(body=b"x", announced=2, then=Then.STALL), read_timeout=0.1)

    def test_a_connection_closed_without_an_answer_is_unreachable(self, ask: Ask) -> None:
        with pytest.raises(Unreachable, match="without an answer"):
            ask_scripted(ask, Reply(raw=b"", then=Then.CLOSE))

    def test_a_connection_reset_within_a_body_is_unreachable(self, ask: Ask) -> None:
        with pytest.raises(Unreachable, match="broke"):
            ask_scripted(ask, Reply(body=b"x", announced=1000, then=Then.RESET))

    def test_a_body_that_ends_early_is_a_bad_answer(self, ask: Ask) -> None:
        with pytest.raises(BadAnswer, match="ended before"):
            ask_scripted(ask, Reply(body=b"x", announced=2, then=Then.CLOSE))

    @pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"])
    def test_what_is_not_http_is_a_bad_answer(self, ask: Ask, raw: bytes) -> None:
        with pytest.raises(BadAnswer, match="not HTTP"):
            ask_scripted(ask, Reply(raw=raw, then=Then.CLOSE))


class TestTls:
    """Real handshakes."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def securely(
        self,
        ask: Ask,
        authority: Authority,
        *,
        ask_client: bool = False,
        newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
        **settings: Any,
    ) -> bytes:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.maximum_version = newest
        context.load_cert_chain(*authority.issue("server"))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority.certificate)

        async def main() -> bytes:
            async with scripted(in_turn(Reply(body=b"secure")), tls=context) as server:
                return await ask(HttpSettings(trust_env=False, **settings), server.url, None)

        return asyncio.run(main())

    def test_an_unknown_authority_is_not_trusted(self, ask: Ask, authority: Authority) -> None:
        with pytest.raises(TlsFailed, match="not trusted") as caught:
            self.securely(ask, authority)
        assert not caught.value.retryable
        assert "ca_file" in str(caught.value)

    def test_a_configured_authority_is_trusted(self, ask: Ask, authority: Authority) -> None:
        assert self.securely(ask, authority, ca_file=str(authority.certificate)) == b"secure"

    def test_verification_can_be_switched_off(self, ask: Ask, authority: Authority) -> None:
        assert self.securely(ask, authority, verify_tls=False) == b"secure"

    def test_a_client_certificate_is_shown(self, ask: Ask, authority: Authority) -> None:
        certificate, key = authority.issue("client")

        answer = self.securely(
            ask,
            authority,
            ask_client=True,
            ca_file=str(authority.certificate),
            client_cert_file=str(certificate),
            client_key_file=str(key),
        )

        assert answer == b"secure"

    @pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_missing_client_certificate_is_told(self, ask: Ask, authority: Authority, newest: ssl.TLSVersion) -> None:
        with pytest.raises(Unreachable, match="client certificate"):
            self.securely(ask, authority, ask_client=True, newest=newest, ca_file=str(authority.certificate))

    def test_a_port_without_tls_is_told(self, ask: Ask) -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 ready\r\n")
            await writer.drain()
            writer.close()

        async def main() -> None:
            server = await asyncio.start_server(greet, "127.0.0.1", 0)
            async with server:
                port = server.sockets[0].getsockname()[1]
                await ask(HttpSettings(trust_env=False), f"https://127.0.0.1:{port}", None)

        with pytest.raises(TlsFailed, match="speaks TLS"):
            asyncio.run(main())

    @pytest.mark.parametrize("setting", ["ca_file", "client_cert_file"])
    def test_a_file_that_cannot_be_used_is_a_mistake_in_the_configuration(
        self, ask: Ask, tmp_path: Path, setting: str
    ) -> None:
        garbage = tmp_path / "garbage.pem"
        garbage.write_text("nothing")

        for path in (garbage, tmp_path / "missing.pem"):
            with pytest.raises(ConfigError, match=setting) as caught:
                ask_at(ask, "https://127.0.0.1:1/", **{setting: str(path)})
            assert path.name in str(caught.value)


KEY = ConnectionKey("host", 443, True, True, None, None, None)
INFO = Mock(real_url=URL("http://host/"))
FOREIGN: dict[type[BaseException], tuple[BaseException, type[CloudSyncError]]] = {
    type(error): (error, expected)
    for error, expected in (
        (aiohttp.ClientError(), Unreachable),
        (aiohttp.ClientResponseError(INFO, (), status=400), BadAnswer),
        (aiohttp.ContentTypeError(INFO, (), status=200), BadAnswer),
        (aiohttp.WSServerHandshakeError(INFO, (), status=200), BadAnswer),
        (aiohttp.ClientHttpProxyError(INFO, (), status=502), Unreachable),
        (aiohttp.TooManyRedirects(INFO, ()), BadAnswer),
        (aiohttp.ClientConnectionError(), Unreachable),
        (aiohttp.ClientConnectionResetError(), Unreachable),
        (aiohttp.ClientOSError(5, "input/output error"), Unreachable),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), Unreachable),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), Unreachable),
        (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")), Unreachable),
        (UnixClientConnectorError("/sock", KEY, OSError(111, "refused")), Unreachable),
        (aiohttp.ClientSSLError(KEY, ssl.SSLError(1, "handshake")), TlsFailed),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "handshake")), TlsFailed),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "expired")), TlsFailed),
        (aiohttp.ServerConnectionError(), Unreachable),
        (aiohttp.ServerDisconnectedError(), Unreachable),
        (aiohttp.ServerTimeoutError(), Unreachable),
        (aiohttp.ConnectionTimeoutError(), Unreachable),
        (aiohttp.SocketTimeoutError(), Unreachable),
        (aiohttp.ServerFingerprintMismatch(b"", b"", "host", 443), Unreachable),
        (aiohttp.ClientPayloadError("not completed"), BadAnswer),
        (aiohttp.UploadAbortedError(), Unreachable),
        (aiohttp.InvalidURL("x"), ConfigError),
        (aiohttp.InvalidUrlClientError("x"), ConfigError),
        (aiohttp.RedirectClientError(), Unreachable),
        (aiohttp.NonHttpUrlClientError("x"), ConfigError),
        (aiohttp.InvalidUrlRedirectClientError("x"), ConfigError),
        (aiohttp.NonHttpUrlRedirectClientError("x"), ConfigError),
        (TimeoutError(), Unreachable),
        (ConnectionResetError(104, "reset"), Unreachable),
        (OSError(28, "no space"), Unreachable),
        (ssl.SSLError(1, "alert"), TlsFailed),
    )
}


def _all_below(error: type[BaseException]) -> set[type[BaseException]]:
    return {error}.union(*(_all_below(each) for each in error.__subclasses__()))


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_each_foreign_error_is_translated(kind: type[BaseException]) -> None:
    error, expected = FOREIGN[kind]

    ours = translated(error, who="the server", url=URL("http://user:secret@host/path?secret=1"), key="k")

    assert type(ours) is expected
    assert ours.key == "k"
    assert "secret" not in str(ours)


def test_no_error_of_the_http_library_is_left_out() -> None:
    assert _all_below(aiohttp.ClientError) <= set(FOREIGN)


NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "Mon, 04 May 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Mon, 04 May 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 04 May 2026 12:00:30 GMT", "Date": "Mon, 04 May 2026 12:00:20 GMT"}, 10.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "\u0661"}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 04 May 2026 12:00:00 GMT", NOW),
        ("Mon, 04 May 2026 14:00:00 +0200", NOW),
        ("Monday, 04-May-26 12:00:00 GMT", NOW),
        ("Mon, 04 May 2026 12:00:00 -0000", NOW),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_http_dates_are_read(text: str | None, moment: datetime | None) -> None:
    assert http_date(text) == moment


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, Rejected),
        (400, Rejected),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (407, AccessDenied),
        (408, Unavailable),
        (409, Rejected),
        (410, NotFound),
        (412, PreconditionFailed),
        (413, Rejected),
        (425, Unavailable),
        (429, Throttled),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (507, StorageFull),
        (599, Unavailable),
        (200, BadAnswer),
        (700, BadAnswer),
    ],
)
def test_each_status_has_its_error(status: int, expected: type[CloudSyncError]) -> None:
    error = status_error(status, what="the answer", key="k", detail="why\n  so")

    assert type(error) is expected
    assert str(error).startswith(f"the answer: HTTP {status} (why so)")


def test_a_503_that_says_how_long_is_a_throttle() -> None:
    error = status_error(503, what="the answer", headers={"Retry-After": "7"})

    assert type(error) is Throttled
    assert error.retry_after == 7.0
