"""Where the next page begins, as text that callers only hand back."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cloudsync_pipeline.api.problems import Problem

_MOST = 2**62
"""Beyond any number that a page begins with; a database would stumble on larger ones."""


def cursor(kind: str, *where: Any) -> str:
    """A cursor; `where` is whatever JSON can hold."""
    text = json.dumps([kind, *where], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def place(kind: str, text: str, *types: type) -> list[Any]:
    """What a cursor of this kind holds.

    Args:
        types: of its parts.

    Raises:
        Problem: it is none of ours, or one of another listing.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if (
        isinstance(found, list)
        and len(found) == len(types) + 1
        and found[0] == kind
        and all(type(one) is wanted for one, wanted in zip(found[1:], types, strict=True))
        and all(abs(one) < _MOST for one in found[1:] if isinstance(one, int))
    ):
        return found[1:]
    raise Problem(
        422,
        "cursor",
        "The cursor is none of this listing.",
        remedy="Hand back `next_cursor` as it came, or begin without one.",
    )
