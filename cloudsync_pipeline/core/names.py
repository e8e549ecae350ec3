"""What an integration may be called: its name is a file, a folder, a Dagster partition and a path at once."""

from __future__ import annotations

import re

from cloudsync_pipeline.core.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def check_name(name: str) -> str:
    """Give `name` back where it can name an integration.

    Raises:
        ConfigError: it cannot; the message says what can.
    """
    if _NAME.fullmatch(name):
        return name
    raise ConfigError(
        f"{name!r} cannot name an integration.",
        remedy="Use 1 to 63 lower-case letters, digits, `-` and `_`, beginning with a letter or a digit.",
    )
