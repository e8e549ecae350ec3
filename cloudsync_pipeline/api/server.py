"""Serving the application in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from cloudsync_pipeline.api.addresses import is_loopback
from cloudsync_pipeline.api.app import create_app
from cloudsync_pipeline.config import Settings
from cloudsync_pipeline.core.errors import ConfigError

_STOPS_WITHIN = 20
"""Seconds that requests under way have to end once the server is asked to stop."""


def require_keys(settings: Settings, host: str) -> None:
    """Make sure that whoever can reach the server has to show a key.

    Raises:
        ConfigError: other hosts could reach it, and no keys are configured.
    """
    if not settings.api.keys and not is_loopback(host):
        raise ConfigError(
            f"{host or 'Every address'} can be reached from other hosts, and no keys are configured: everybody would "
            "be let in.",
            remedy="Make a key (`cloudsync api-key`) and put its hash under `api.keys`, or listen on 127.0.0.1.",
        )


def serve(config: Path | None, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is under way and return. For the main thread.

    Args:
        config: the main configuration file; None for the usual places.
        host, port: where to listen; port 0 for any that is free.
        on_ready: called with the URL once connections are accepted.

    Raises:
        ConfigError: the configuration cannot be used, or the address cannot be listened on.
    """
    app = create_app(config, local_only=is_loopback(host))
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), backlog=512, family=family)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}.", remedy="Choose another --host or --port."
        ) from error
    shown = f"[{host}]" if ":" in host else host
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Whoever sends them could pretend to be another address.
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOPS_WITHIN,
    )
    with listener, suppress(KeyboardInterrupt):
        _Server(settings, lambda: on_ready(f"http://{shown}:{listener.getsockname()[1]}")).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()
