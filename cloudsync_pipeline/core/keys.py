"""Keys and paths as text that every table can hold.

Inside the project a key is always in its *escaped* form: U+0000 and bytes that are no UTF-8 become
U+001A and two hexadecimal digits, and so does U+001A itself. Every other key stands as it is.
Adapters escape what they receive and unescape what they send.
"""

from __future__ import annotations

import re

_MARK = "\x1a"
_NEEDS_ESCAPE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{2})")


def escape(raw: str) -> str:
    """Text (as decoded with `surrogateescape`) to the form that is stored.

    Raises:
        ValueError: a surrogate that stands for no byte.
    """

    def one(match: re.Match[str]) -> str:
        code = ord(match.group())
        if 0xDC80 <= code <= 0xDCFF:
            code -= 0xDC00
        elif code >= 0xD800:
            raise ValueError(f"{raw!r} holds a surrogate that stands for no byte")
        return f"{_MARK}{code:02x}"

    return _NEEDS_ESCAPE.sub(one, raw) if _NEEDS_ESCAPE.search(raw) else raw


def unescape(key: str) -> str:
    """The inverse of `escape`; encode the result with `surrogateescape` to get the bytes back."""
    if _MARK not in key:
        return key

    def one(match: re.Match[str]) -> str:
        code = int(match.group(1), 16)
        return chr(code) if code < 0x80 else chr(0xDC00 + code)

    return _ESCAPED.sub(one, key)


def escape_bytes(raw: bytes) -> str:
    """The escaped form of a key or file name given as bytes."""
    return escape(raw.decode("utf-8", "surrogateescape"))


def unescape_bytes(key: str) -> bytes:
    """The bytes of an escaped key."""
    return unescape(key).encode("utf-8", "surrogateescape")
