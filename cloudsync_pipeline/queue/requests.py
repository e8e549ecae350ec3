"""What a message asks for: `{"type": "initial"|"incremental"|"reconcile", "integration": NAME}`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cloudsync_pipeline.core.errors import CloudSyncError, ConfigError
from cloudsync_pipeline.core.names import check_name
from cloudsync_pipeline.engine.results import Mode

LONGEST = 64 * 1024
"""Bytes of a message; a request has about a hundred."""


class Refused(CloudSyncError):
    """A request that nobody can grant, now or later: it becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """One sync that somebody wants."""

    mode: Mode
    integration: str


def parse(body: bytes) -> SyncRequest:
    """A message's request. Keys that it does not know are left alone: a sender may add its own.

    Raises:
        Refused: the message is none; says why.
    """
    if len(body) > LONGEST:
        raise Refused(f"The message has {len(body)} bytes; a request has at most {LONGEST}.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("The message is no JSON.") from error
    if not isinstance(document, dict):
        raise Refused("The message is no JSON object.")
    kind, name = document.get("type"), document.get("integration")
    if not isinstance(kind, str) or kind not in set(Mode):
        known = ", ".join(f"`{mode}`" for mode in Mode)
        raise Refused(f"The message's `type` is {_shown(document, 'type')}; it can be one of {known}.")
    if not isinstance(name, str):
        raise Refused(f"The message's `integration` is {_shown(document, 'integration')}; it names an integration.")
    try:
        return SyncRequest(Mode(kind), check_name(name))
    except ConfigError as error:
        raise Refused(f"The message's `integration` cannot be one: {error.message}") from error


def _shown(document: dict[str, object], key: str) -> str:
    return repr(document[key])[:80] if key in document else "missing"
