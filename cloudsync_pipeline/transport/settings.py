"""What a person may set of the HTTP connections, and what becomes of it: a TLS context, a proxy."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.transport.failures import shown


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to connect.

    Attributes:
        connect_timeout: seconds for TCP and TLS to stand.
        read_timeout: seconds of silence while an answer is awaited or read; a long body may take longer.
        max_connections: open at once, over all hosts.
        verify_tls: False trusts any certificate.
        ca_file: PEM file of authorities to trust in place of the system's.
        client_cert_file, client_key_file: PEM files we identify ourselves with; the key may stand in the first.
        trust_env: honour HTTP_PROXY, HTTPS_PROXY and NO_PROXY. `.netrc` is never read.
        headers: sent with every request; may hold secrets, so they are not shown.

    Raises:
        ConfigError: a number is not greater than 0.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_connections: int = 32
    verify_tls: bool = True
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    trust_env: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "read_timeout", "max_connections"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", remedy="Give a number greater than 0.")


def tls_context(settings: HttpSettings) -> ssl.SSLContext:
    """The TLS context that the settings describe.

    Raises:
        ConfigError: a file is missing or holds no certificate or key.
    """
    if settings.verify_tls and not settings.ca_file and not settings.client_cert_file:
        return _default_context()
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("ca_file", settings.ca_file, error) from error
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert_file:
        try:
            # An empty password in place of a question at the terminal, which would stop a service forever.
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable("client_cert_file or client_key_file", settings.client_cert_file, error) from error
    return context


@cache
def _default_context() -> ssl.SSLContext:
    # Reading the system's authorities takes 80 ms, and a process opens hundreds of integrations.
    return ssl.create_default_context()


def _unusable(setting: str, path: str | None, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return ConfigError(
        f"{setting} {path!r} cannot be used: {reason}",
        remedy="Give a PEM file that this process may read.",
    )


def check_address(url: URL, *, who: str) -> None:
    """Refuse what cannot be asked.

    Raises:
        ConfigError: no `http` or `https`, no host, or credentials.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{who} has no usable address", remedy="Write it as https://host:port.")
    if url.user is not None or url.password is not None:
        raise ConfigError(
            f"the address of {who} ({shown(url)}) holds credentials", remedy="Configure them as authentication instead."
        )


def proxy_from_environment(origin: URL) -> URL | None:
    """The proxy that the environment names for `origin`, with its credentials, or None.

    Done here and once an origin: aiohttp's own `trust_env` asks the environment and `.netrc` in a thread for each
    request, and a `.netrc` entry beside an Authorization header makes it refuse the request.

    Raises:
        ConfigError: the variable holds no usable URL.
    """
    if origin.host is None or proxy_bypass(origin.host):
        return None
    address = getproxies().get(origin.scheme)
    if not address:
        return None
    variable = f"{origin.scheme.upper()}_PROXY"
    try:
        url = URL(address if "://" in address else f"http://{address}")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or url.host is None:
        # The value itself may hold a password, so it is not shown.
        raise ConfigError(f"{variable} names no HTTP proxy", remedy="Write it as http://host:port, or unset it.")
    return url
