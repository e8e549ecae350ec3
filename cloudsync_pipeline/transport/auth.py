"""How a request proves who sends it: bearer token, basic, or a header of the server's own."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cloudsync_pipeline.core.errors import ConfigError


def _sendable(name: str, value: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise ConfigError(
            f"the {name} holds a control character, which no HTTP header can carry",
            remedy="Look for a line break at its end, often left by the editor that wrote the secret.",
        )
    return value


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """`Authorization: Bearer ...` (RFC 6750).

    Raises:
        ConfigError: the token cannot stand in a header.
    """

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        _sendable("token", self.token)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """`Authorization: Basic ...`, in UTF-8 (RFC 7617).

    Raises:
        ConfigError: the user name holds a colon, or one of both a control character.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        _sendable("password", self.password)
        if ":" in _sendable("user name", self.username):
            raise ConfigError("a user name for basic authentication holds a colon", remedy="Use another user name.")

    def headers(self) -> dict[str, str]:
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """A secret in a header of the server's own, such as `X-Api-Key`.

    Raises:
        ConfigError: the value cannot stand in a header.
    """

    name: str
    value: str = field(repr=False)

    def __post_init__(self) -> None:
        _sendable("header's name", self.name)
        _sendable("header's value", self.value)

    def headers(self) -> dict[str, str]:
        return {self.name: self.value}


Auth = BearerAuth | BasicAuth | HeaderAuth
