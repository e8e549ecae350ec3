"""Who is told: a real HTTP endpoint, and a real mail server with STARTTLS and a login."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from cloudsync_tests.servers import unused_port

PASSWORD = "mail-password-that-must-not-be-shown"
PATH = "/services/T000/B000/hook-that-must-not-be-shown"


class Hook:
    """A webhook's endpoint.

    Attributes:
        got: what it took, oldest first.
        status: what it answers; a message is taken with 200.
        path: where it is; elsewhere is nothing.
        open: while this is not set, it does not answer.
    """

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.path = PATH
        self.open = threading.Event()
        self.open.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.open.wait(30)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 200 and self.path == hook.path:
                    hook.got.append(json.loads(body))
                self.send_response(hook.status if self.path == hook.path else 404)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.got]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


class Inbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


@contextmanager
def mail_server(certificate: Path, key: Path) -> Iterator[tuple[Inbox, int]]:
    """A mail server that takes mail over STARTTLS and after a login only; what it took, and its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    inbox = Inbox()

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"sync", PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    port = unused_port()
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        # It knocks at its own door to see that it is open, and must know the number.
        port=port,
        ready_timeout=60,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=login,
    )
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()
