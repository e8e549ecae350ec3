"""Permission bits as text, such as `rw-r--r--`, and back."""

from __future__ import annotations

import re
import stat

from cloudsync_pipeline.core.errors import Rejected

_SHAPE = re.compile(r"(?:[r-][w-][x-]){3}")


def text_of(mode: int) -> str:
    """The nine letters of a mode; set-id and sticky bits are not shown."""
    return stat.filemode(mode & 0o777)[1:]


def mode_of(text: str) -> int:
    """The mode that nine letters mean.

    Raises:
        Rejected: other text.
    """
    if not _SHAPE.fullmatch(text):
        raise Rejected(
            f"{text!r} are no permissions that can be set here.",
            remedy="Give nine letters such as 'rw-r--r--'.",
        )
    return sum(bit << (8 - place) for place, bit in enumerate(letter != "-" for letter in text))
