"""What a devserver can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one devserver.

    Attributes:
        root: folder of its content and index; made if it is missing. One server at a time may use it.
        host, port: where to listen; port 0 lets the operating system choose.
        bearer: token accepted as `Authorization: Bearer ...`.
        basic: (user, password) accepted as `Authorization: Basic ...`.
        header: (name, value) of a header that is accepted as proof.
            With none of the three, everyone is let in; with several, any one suffices.
        tls_cert, tls_key: PEM files; with them the server speaks TLS only.
        client_ca: PEM file; with it, clients need a certificate signed by it.
        permissions, owner, group: of files that nobody set them on.
        fsync: make content and index durable before acknowledging. Without it a power failure may lose
            acknowledged files, never mix them up; a killed process loses nothing either way.
        shutdown_seconds: how long requests may go on after SIGTERM; what is not done then is broken off.
        access_log: log a line a request to standard error.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    bearer: str | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    header: tuple[str, str] | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    permissions: str = "rw-r--r--"
    owner: str = "files"
    group: str = "files"
    fsync: bool = True
    shutdown_seconds: int = 10
    access_log: bool = False
