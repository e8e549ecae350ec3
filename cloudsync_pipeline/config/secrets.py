"""Where `${secret:NAME}` is looked up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from cloudsync_pipeline.core.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class Secrets(Protocol):
    """A secrets backend. It is asked whenever configuration is read, so an answer must be quick."""

    def get(self, name: str) -> str:
        """The secret's text.

        Raises:
            ConfigError: there is no such secret, or it cannot be read; names it and where it was looked for.
        """
        ...


class FileSecrets:
    """One file a secret, as Docker and Kubernetes mount them; one newline at the end is not part of it.

    Args:
        folder: where the files are. A name may have parts, `acme/secret_key`, for folders in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a secret.", remedy="Use letters, digits, `_`, `-`, `.`, and `/` between parts."
            )
        file = self._folder / name
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(
                f"the secret {name!r} is not in {self._folder}.", remedy=f"Put it into the file {file}."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
            raise ConfigError(
                f"the secret {name!r} in {file} cannot be read: {reason}.",
                remedy="Make it a text file that this process may read.",
            ) from error
        return text.removesuffix("\n").removesuffix("\r")
