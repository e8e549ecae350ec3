"""What a person may set of a file manager that speaks the HTTP API, and which abilities follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.file_managers.base import FileManagerCapabilities
from cloudsync_pipeline.transport.auth import Auth, BasicAuth, BearerAuth
from cloudsync_pipeline.transport.settings import HttpSettings

PROMISED = FileManagerCapabilities(
    atomic_put=False,
    move=True,
    delete=True,
    probe=True,
    permissions=True,
    permissions_in_answers=False,
    list=False,
    read=False,
    content_hash=False,
    stable_ids=False,
    folders_are_files=True,
    case_sensitive=True,
)
"""What the API promises by itself; a server that can do more declares it at `GET /`, or configuration does."""

_NUMBERS = frozenset({"max_path_bytes", "max_name_bytes"})
_NAMES = frozenset(each.name for each in dataclasses.fields(FileManagerCapabilities))


@dataclass(frozen=True, slots=True)
class HttpApiSettings:
    """Which file manager, and how to reach it.

    Attributes:
        base_url: address before `/saveToDisk`; without credentials and query.
        destination_prefix: put before every path, with a slash between; may be empty.
        auth: proof sent with every request, or None.
        http: how to connect.
        capabilities: overrides of what was probed, by the names of `FileManagerCapabilities`.
        opaque_paths: the file manager holds paths such as `a//b` and `a/../b` as they are. None: only where it
            declares its capabilities itself; otherwise such paths are rejected here, because one that resolves
            them would leave the prefix or overwrite another file.
        reporting_url: where results are reported; None for the file manager's own `/reportResults`.
        reporting_auth: proof for a reporting URL of another origin; `auth` is sent to its own origin only.
        timeout: seconds for a whole call that carries no content. Uploads and reads are limited by silence
            alone (`http.read_timeout`).

    Raises:
        ConfigError: a value cannot be used; secrets are not shown.
    """

    base_url: str
    destination_prefix: str = ""
    auth: Auth | None = None
    http: HttpSettings = field(default_factory=HttpSettings)
    capabilities: Mapping[str, bool | int | None] = field(default_factory=dict, hash=False)
    opaque_paths: bool | None = None
    # A webhook's address is a secret itself.
    reporting_url: str | None = field(default=None, repr=False)
    reporting_auth: Auth | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        url = _address(self.base_url, "base_url")
        if url.raw_query_string or url.raw_fragment:
            raise ConfigError("base_url holds a query or fragment.", remedy="Give the address before '/saveToDisk'.")
        if self.reporting_url is not None:
            _address(self.reporting_url, "reporting_url")
        merged(PROMISED, self.capabilities, strict=True)


def call_url(settings: HttpApiSettings, call: str) -> URL:
    """The URL of one call; `call` begins with a slash and is percent-encoded."""
    base = str(URL(settings.base_url)).rstrip("/")
    return URL(base + call, encoded=True)


def secrets_of(settings: HttpApiSettings) -> tuple[str, ...]:
    """Texts that must not be shown, should the other side repeat them, longest first."""
    found: set[str] = set(settings.http.headers.values())
    for auth in (settings.auth, settings.reporting_auth):
        if auth is None:
            continue
        found.update(auth.headers().values())
        found.update(value.split(" ", 1)[-1] for value in auth.headers().values())
        if isinstance(auth, BasicAuth):
            found.add(auth.password)
        elif isinstance(auth, BearerAuth):
            found.add(auth.token)
    return tuple(sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True))


def merged(
    known: FileManagerCapabilities, changes: Mapping[str, Any], *, strict: bool = False
) -> FileManagerCapabilities:
    """Capabilities with some of them changed.

    Args:
        strict: raise for names and values that mean nothing, as a person wrote them; a server's are left out.

    Raises:
        ConfigError: see `strict`.
    """
    usable = {name: value for name, value in changes.items() if name in _NAMES and _fits(name, value)}
    if strict and len(usable) != len(changes):
        name = next(name for name in changes if name not in usable)
        raise ConfigError(
            f"{name!r} cannot be set to {changes[name]!r} as a capability of the file manager.",
            remedy=f"The capabilities are {', '.join(sorted(_NAMES))}: true or false, or a number of bytes.",
        )
    return dataclasses.replace(known, **usable)


def _fits(name: str, value: object) -> bool:
    if name in _NUMBERS:
        return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
    return isinstance(value, bool)


def _address(text: str, setting: str) -> URL:
    remedy = "Write it as https://host:port, and credentials as `auth`."
    try:
        url = URL(text)
    except ValueError as error:
        raise ConfigError(f"{setting} is no URL.", remedy=remedy) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{setting} is no HTTP address.", remedy=remedy)
    if url.user is not None or url.password is not None:
        raise ConfigError(f"{setting} holds credentials.", remedy=remedy)
    return url
