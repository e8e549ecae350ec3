"""Keys of callers: made, hashed, recognized.

A key is 256 random bits, so that no dictionary leads from its hash to it, and a plain SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudsync_pipeline.config.keys import ApiKey, ApiScope

PREFIX = "cloudsync_"
"""Begins every key, so that scanners for leaked secrets can find it."""

SCOPES: tuple[ApiScope, ...] = ("read", "sync", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. `name` is the key's; "local" where no keys are configured."""

    name: str
    scopes: frozenset[ApiScope]

    def may(self, scope: ApiScope) -> bool:
        """Whether a scope is given; `admin` has all of them."""
        return scope in self.scopes or "admin" in self.scopes


LOCAL = Caller("local", frozenset({"admin"}))
"""Whoever is on this host, where no keys are configured."""


def new_key() -> str:
    """A new key, for showing once."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What the configuration holds of a key."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def whose(key: str, keys: Sequence[ApiKey]) -> Caller | None:
    """Who holds this key; None where nobody does. How long it takes does not tell how much of it was right."""
    told, found = hash_of(key), None
    for one in keys:
        if hmac.compare_digest(told, one.hash):
            found = one
    return None if found is None else Caller(found.name, frozenset(found.scopes))
