"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, TlsFailed, Unreachable
from cloudsync_pipeline.transport.fetching import Fetcher
from cloudsync_pipeline.transport.settings import HttpSettings
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.scripted import Asked, Reply, Then, in_turn, scripted
from cloudsync_tests.transport.clients import Ask, by_fetcher
from cloudsync_tests.transport.raw_server import (
    Raw,
    content_of,
    plain,
    serving,
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestBothClients:
    def through(self, ask: Ask, monkeypatch: pytest.MonkeyPatch, reply: Reply, url: str, user: str = "") -> list[Asked]:
        async def main() -> list[Asked]:
            async with scripted(in_turn(reply)) as proxy:
                address = proxy.url.replace("http://", f"http://{user}")
                monkeypatch.setenv("http_proxy", address)
                monkeypatch.setenv("https_proxy", address)
                await ask(HttpSettings(), url, None)
                return proxy.asked

        return asyncio.run(main())

    def test_requests_go_through_the_environments_proxy(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        (asked,) = self.through(ask, monkeypatch, Reply(), "http://far.invalid/x?y=%20", user="me:sec%40ret@")

        assert asked.target == "http://far.invalid/x?y=%20"
        assert asked.headers["host"] == "far.invalid"
        assert asked.headers["proxy-authorization"] == "Basic bWU6c2VjQHJldA=="  # me:sec@ret

    @pytest.mark.parametrize(("status", "kind"), [(407, AccessDenied), (502, Unreachable)])
    def test_a_refusal_of_the_proxy_is_told_as_its_own(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match="the proxy refused") as caught:
            self.through(ask, monkeypatch, Reply(status), "https://far.invalid/x", user="me:secret@")
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["http://far.invalid", "https://far.invalid"])
    def test_a_proxy_that_is_not_there_is_told(self, ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")

        with pytest.raises(Unreachable, match="the proxy on the way"):
            asyncio.run(ask(HttpSettings(), url, None))

    def test_a_proxy_that_hangs_up_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unreachable, match="the proxy on the way"):
            self.through(by_fetcher, monkeypatch, Reply(raw=b"", then=Then.CLOSE), "https://far.invalid/x")

    def test_no_proxy_is_honoured(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        async def main() -> bytes:
            async with scripted(in_turn(Reply(body=b"straight"))) as server:
                return await ask(HttpSettings(), server.url, None)

        assert asyncio.run(main()) == b"straight"

    @pytest.mark.parametrize("value", ["socks5://me:secret@127.0.0.1:1080", "http://"])
    def test_a_variable_that_names_no_http_proxy_is_told_without_its_password(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("http_proxy", value)

        with pytest.raises(ConfigError, match="HTTP_PROXY") as caught:
            asyncio.run(ask(HttpSettings(), "http://127.0.0.1:1", None))
        assert "secret" not in str(caught.value)


class TestTunnels:
    """What the client that storages are read with does by itself."""

    def test_a_proxy_whose_certificate_is_not_trusted_is_told_as_such(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = Authority(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.issue("server"))

        async def main() -> None:
            async with scripted(in_turn(Reply()), tls=context) as proxy:
                monkeypatch.setenv("https_proxy", proxy.url)
                async with Fetcher(HttpSettings(), who="the server") as fetcher:
                    await content_of(fetcher, "https://far.invalid/x")

        with pytest.raises(TlsFailed, match="certificate of the proxy on the way"):
            asyncio.run(main())

    def test_an_address_of_version_6_is_written_with_brackets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> Asked:
            async with scripted(in_turn(Reply(502))) as proxy, Fetcher(HttpSettings(), who="the server") as fetcher:
                monkeypatch.setenv("https_proxy", proxy.url)
                with pytest.raises(Unreachable, match="proxy refused"):
                    await content_of(fetcher, "https://[::1]:9443/x")
                return proxy.asked[0]

        asked = asyncio.run(main())
        assert (asked.target, asked.headers["host"]) == ("[::1]:9443", "[::1]:9443")

    @pytest.mark.parametrize("proxy_speaks_tls", [False, True])
    @pytest.mark.parametrize("trusted", [True, False])
    def test_tls_goes_through_a_tunnel(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy_speaks_tls: bool, trusted: bool
    ) -> None:
        (tmp_path / "other").mkdir()
        authority, stranger = Authority(tmp_path), Authority(tmp_path / "other")
        context, origins = (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2))
        context.load_cert_chain(*authority.issue("server"))
        origins.load_cert_chain(*(authority if trusted else stranger).issue("origin"))
        how = HttpSettings(ca_file=str(authority.certificate))
        bodies = [b"small", bytes(range(256)) * 2_000]
        raw = Raw(*([plain(body)] for body in bodies))
        asked: list[bytes] = []

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            host, port = asked[-1].split()[1].decode().split(":")
            there_reader, there = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
            await asyncio.gather(pumped(reader, there), pumped(there_reader, writer))

        async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except (ConnectionError, ssl.SSLError):
                pass
            finally:
                writer.close()

        async def main() -> list[bytes]:
            proxy = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context if proxy_speaks_tls else None)
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv("https_proxy", f"http{'s' * proxy_speaks_tls}://me:secret@127.0.0.1:{port}")
            async with proxy, serving(raw, origins), Fetcher(how, who="the server") as fetcher:
                found = [await content_of(fetcher, raw.url) for _ in bodies]
                await fetcher.close()
                await asyncio.sleep(0.05)
                return found

        if not trusted:
            with pytest.raises((TlsFailed, Unreachable), match="the server at https"):
                asyncio.run(main())
            return
        assert asyncio.run(main()) == bodies
        (connect,) = asked
        assert connect.startswith(b"CONNECT 127.0.0.1:")
        assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in connect
        assert b"Proxy-Authorization" not in b"".join(raw.requests)
