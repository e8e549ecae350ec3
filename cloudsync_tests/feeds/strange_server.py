"""An HTTP server that answers whatever a test wants, for answers that no devserver gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StrangeServer:
    """Gives every GET and POST the same answer.

    Attributes:
        url: base URL.
        asked: paths with queries that were asked for.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.release = threading.Event()
        self.answers(200, b"")

    def answers(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, stall_after: int | None = None
    ) -> None:
        """Say what comes next; with `stall_after`, the body stops there until `release` is set."""
        self.status = status
        self.body = body
        self.headers = {"Content-Length": str(len(body)), **(headers or {})}
        self.stall_after = stall_after


@contextmanager
def strange() -> Iterator[StrangeServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(state.body[: state.stall_after])
            if state.stall_after is not None:
                self.wfile.flush()
                state.release.wait(30)
                self.close_connection = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state = StrangeServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            state.release.set()
            server.shutdown()
            thread.join()
