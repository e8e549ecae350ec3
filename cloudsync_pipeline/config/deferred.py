"""Secrets that are looked up when they are used, not when configuration is read: the network is asked for them.

Configuration is read at every tick and by every command. So a reference to such a secret stays one, within the value
it stands in, until somebody asks that value for its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from cloudsync_pipeline.config.secrets import split
from cloudsync_pipeline.core.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
# YAML holds no such character, unless somebody writes it on purpose.
_MARK = "\x00"
_MARKED = re.compile(f"{_MARK}([^{_MARK}]*){_MARK}")


@dataclass(frozen=True, slots=True)
class Vault:
    """A service that keeps secrets.

    Attributes:
        region, endpoint: where it is; None as the machine is configured.
        prefix: put before every name.
        ttl: seconds for which a secret is not asked for again.
    """

    region: str | None = None
    endpoint: str | None = None
    prefix: str = ""
    ttl: float = 300.0


@dataclass(frozen=True, slots=True)
class Reference:
    """A secret in a vault; `field` of it, where it is a JSON object."""

    vault: Vault
    name: str
    field: str | None = None


_resolver: list[Callable[[Reference], str]] = []


def resolve_with(resolver: Callable[[Reference], str]) -> None:
    """Say who looks secrets up, for the whole process; `wiring` does."""
    _resolver[:] = [resolver]


class DeferredSecrets:
    """Gives references in place of secrets."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def get(self, name: str) -> str:
        """A mark that stands for the secret until it is used.

        Raises:
            ConfigError: no secret can have this name.
        """
        secret, field = split(name)
        if not _NAME.fullmatch(secret):
            raise ConfigError(
                f"{secret!r} cannot name a secret.", remedy="Use letters, digits and `/_+=.@-`, then perhaps `#field`."
            )
        return f"{_MARK}{json.dumps([asdict(self._vault), secret, field])}{_MARK}"


def is_deferred(text: str) -> bool:
    """Whether a reference stands in a text."""
    return _MARK in text


class Deferred(SecretStr):
    """Text with references in it: whoever asks for its value asks the vault."""

    def __init__(self, text: str, check: Callable[[str], None] | None = None) -> None:
        super().__init__(text)
        self._check = check

    @property
    def references(self) -> tuple[Reference, ...]:
        """The secrets that it is made of."""
        return tuple(_reference(match[1]) for match in _MARKED.finditer(self._secret_value))

    def get_secret_value(self) -> str:
        """The text, from the vault or what is remembered of it.

        Raises:
            ConfigError: there is no such secret, it is empty, or it is not what belongs here.
            RemoteError: the vault cannot be asked now, or refuses.
        """
        if not _resolver:
            raise ConfigError(
                "Secrets of a vault cannot be looked up here.", remedy="Import cloudsync_pipeline.wiring."
            )
        text = _MARKED.sub(lambda match: _resolver[0](_reference(match[1])), self._secret_value)
        names = ", ".join(repr(one.name) for one in self.references)
        if not text.strip():
            raise ConfigError(f"the secret {names} is empty.", remedy="Store its value in the vault.")
        if self._check is not None:
            try:
                self._check(text)
            except ValueError as error:
                raise ConfigError(f"the secret {names} does not fit: expected {error}.") from None
        return text

    @property
    def as_written(self) -> str:
        """The text with its references, for another setting that inherits it."""
        return self._secret_value

    # Comparing and hashing must ask nobody.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deferred) and other._secret_value == self._secret_value

    def __hash__(self) -> int:
        return hash(self._secret_value)


def secrets_of(value: Any) -> Iterator[Deferred]:
    """The deferred secrets in a section, however deep."""
    if isinstance(value, Deferred):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))


def misplaced(value: Any, path: str = "") -> str | None:
    """The key of the first value that is no secret and holds a reference to one; None where there is none."""
    if isinstance(value, str):
        return path if is_deferred(value) else None
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        parts = [(f"{path}.{name}" if path else str(name), one) for name, one in value.items()]
    elif isinstance(value, list):
        parts = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    else:
        return None
    return next((found for where, one in parts if (found := misplaced(one, where)) is not None), None)


def _reference(text: str) -> Reference:
    vault, name, field = json.loads(text)
    return Reference(Vault(**vault), name, field)
