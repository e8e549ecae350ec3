"""Which paths a tree of real folders can hold, each as itself.

A key is any text; a path on disk is a chain of names. What would be read as another path (`.`, `..`, an
empty name, a leading or trailing slash), or is longer than the file system takes, is refused with the
reason, because storing it under a changed name could overwrite another file.
"""

from __future__ import annotations

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.core.errors import ConfigError, PathRejected

Parts = tuple[bytes, ...]
"""The names of a path, outermost first."""

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255

_REMEDY = "Rename the object, or exclude it from the sync."


def split(path: str, *, max_path: int | None = MAX_PATH_BYTES, max_name: int | None = MAX_NAME_BYTES) -> Parts:
    """The names of an escaped path, outermost first, as bytes.

    Args:
        path: in escaped form, relative.
        max_path, max_name: limits in bytes of the whole and of one name, or None.

    Raises:
        PathRejected: a folder tree cannot hold this path as itself; the message says why.
    """
    reason = _objection(path, max_path, max_name)
    if reason is not None:
        raise PathRejected(f"The path {reason}.", key=path, remedy=_REMEDY)
    return tuple(keys.unescape_bytes(path).split(b"/"))


def refuse_long(path: str, *, max_path: int | None, max_name: int | None) -> None:
    """Raises PathRejected for an empty path, or one beyond the limits in bytes, and for nothing else."""
    raw = keys.unescape_bytes(path)
    reason = "is empty" if not raw else _too_long(raw, max_path, max_name)
    if reason is not None:
        raise PathRejected(f"The path {reason}.", key=path, remedy=_REMEDY)


def split_prefix(prefix: str) -> Parts:
    """The names of a configured destination prefix; the empty prefix has none.

    Args:
        prefix: plain text as configured; one slash at its end is tolerated.

    Raises:
        ConfigError: the prefix is no chain of plain folder names.
    """
    bare = prefix.removesuffix("/")
    if not prefix:
        return ()
    escaped = keys.escape(bare)
    reason = _objection(escaped, MAX_PATH_BYTES, MAX_NAME_BYTES)
    if reason is not None:
        raise ConfigError(
            f"The destination prefix {prefix!r} cannot be used: it {reason}.",
            remedy="Use folder names separated by single slashes.",
        )
    return tuple(keys.unescape_bytes(escaped).split(b"/"))


def _objection(path: str, max_path: int | None, max_name: int | None) -> str | None:
    raw = keys.unescape_bytes(path)
    if not raw:
        return "is empty"
    if raw.startswith(b"/"):
        return "begins with a slash"
    if raw.endswith(b"/"):
        return "ends with a slash"
    if b"\0" in raw:
        return "contains the character U+0000"
    too_long = _too_long(raw, max_path, max_name)
    if too_long is not None:
        return too_long
    if "\x1a" in path and keys.escape_bytes(raw) != path:
        # Two spellings of one file would overwrite each other.
        return "is not in its canonical escaped form"
    for name in raw.split(b"/"):
        if not name:
            return "contains an empty name ('//')"
        if name in (b".", b".."):
            return f"contains {name.decode()!r} as a name"
    return None


def _too_long(raw: bytes, max_path: int | None, max_name: int | None) -> str | None:
    if max_path is not None and len(raw) > max_path:
        return f"is {len(raw)} bytes long, and {max_path} is the limit"
    longest = max(map(len, raw.split(b"/")))
    if max_name is not None and longest > max_name:
        return f"contains a name of {longest} bytes, and {max_name} is the limit"
    return None
