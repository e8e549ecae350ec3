"""Who may call the API: keys, of which only hashes are kept."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.fields import Section

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

ApiScope = Literal["read", "sync", "admin"]


def _hash(value: str) -> str:
    text = value.strip().lower()
    if not _HASH.fullmatch(text):
        raise PydanticCustomError("key_hash", "`sha256:` and 64 hexadecimal digits, as `cloudsync api-key` prints them")
    return text


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise PydanticCustomError("key_name", "up to 63 letters, digits, `_`, `-` and `.`")
    return value


class ApiKey(Section):
    """One key. It is random and long, so that a plain hash gives nothing away of it."""

    name: Annotated[str, AfterValidator(_name)] = Field(description="whose it is, for logs and approvals")
    hash: Annotated[str, AfterValidator(_hash)] = Field(description="what `cloudsync api-key` printed")
    scopes: list[ApiScope] = Field(min_length=1, description="what it may do: read, sync, admin")


def _distinct(keys: list[ApiKey]) -> list[ApiKey]:
    for what, values in (("name", [one.name for one in keys]), ("hash", [one.hash for one in keys])):
        if len(set(values)) < len(values):
            raise PydanticCustomError("key_twice", f"keys that differ in their {what}")
    return keys


def _listed(value: object) -> object:
    """Keys as one text, for environment variables: `name=read+sync=sha256:...`, with spaces or commas between."""
    if not isinstance(value, str):
        return value
    keys = []
    for entry in re.split(r"[\s,]+", value.strip()):
        name, _, rest = entry.partition("=")
        scopes, _, digest = rest.partition("=")
        keys.append({"name": name, "scopes": scopes.split("+"), "hash": digest})
    return keys if value.strip() else []


ApiKeys = Annotated[list[ApiKey], BeforeValidator(_listed), AfterValidator(_distinct)]
