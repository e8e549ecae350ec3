"""Where `${secret:NAME}` is looked up, and `${secret:NAME#field}`, a field of a secret that is a JSON object."""

from __future__ import annotations

import json
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

    Kubernetes replaces all files of a folder at once, by pointing the link `..data` elsewhere. What one object of this
    class reads belongs together: a new key is never paired with an old one.

    Args:
        folder: where the files are. A name may have parts, `acme/secret_key`, for folders in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: Path | None = None

    def get(self, name: str) -> str:
        name, field = split(name)
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a secret.", remedy="Use letters, digits, `_`, `-`, `.`, and `/` between parts."
            )
        file = self._folder / name
        try:
            text = self._read(name)
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
        return selected(text.removesuffix("\n").removesuffix("\r"), name, field)

    def _read(self, name: str) -> str:
        if self._mounted is None:
            self._mounted = _resolved(self._folder)
        try:
            return (self._mounted / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            now = _resolved(self._folder)
            # The folder was replaced while the configuration was read, or a secret lies beside the mounted ones.
            if now == self._mounted and now == self._folder:
                raise
            self._mounted = now
            file = now / name
            return (file if file.exists() else self._folder / name).read_text(encoding="utf-8")


def split(name: str) -> tuple[str, str | None]:
    """A reference's secret and field: `files#token` means the field `token` of the secret `files`."""
    secret, mark, field = name.partition("#")
    return secret, field if mark else None


def selected(text: str, name: str, field: str | None) -> str:
    """A secret's text, or the field of it that is asked for.

    Raises:
        ConfigError: it has no such field. Shows nothing of the secret.
    """
    if field is None:
        return text
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    value = document.get(field) if isinstance(document, dict) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        what = "no text" if isinstance(document, dict) and field in document else "not there"
        what = what if isinstance(document, dict) else "not there: the secret is no JSON object"
        raise ConfigError(
            f"the field {field!r} of the secret {name!r} is {what}.", remedy="Correct the part behind `#`."
        )
    return value


def _resolved(folder: Path) -> Path:
    data = folder / "..data"
    return data.resolve() if data.is_symlink() else folder
