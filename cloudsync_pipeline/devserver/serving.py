"""Running the devserver in this process."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from cloudsync_pipeline.devserver.app import create_app
from cloudsync_pipeline.devserver.files import claim
from cloudsync_pipeline.devserver.settings import Settings


def serve(
    settings: Settings, *, on_ready: Callable[[str], None] | None = None, until_stdin_closes: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way and return. For the main thread.

    Args:
        on_ready: called with the URL once connections are accepted; prints one line of JSON by default.
        until_stdin_closes: also stop when standard input ends, so that the server never outlives who started it.

    Raises:
        OSError: the address cannot be listened on.
        RootInUse: another server works on the root folder.
    """
    # Asked here too: what goes wrong while the application starts, uvicorn only logs.
    os.close(claim(settings))
    listener = socket.create_server((settings.host, settings.port), backlog=512, family=_family(settings.host))
    server = _Server(_config(settings), _url(settings, listener), on_ready or _print_url)
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    # uvicorn raises the signal again when it is done; by default that would kill the process after a clean stop.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._url = url
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready(self._url)


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        log_level="info" if settings.access_log else "warning",
        access_log=settings.access_log,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=str(settings.client_ca) if settings.client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.client_ca else ssl.CERT_NONE,
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _url(settings: Settings, listener: socket.socket) -> str:
    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def _print_url(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    # Not through `sys.stdin`: its lock, held here for ever, would abort the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    server.should_exit = True
