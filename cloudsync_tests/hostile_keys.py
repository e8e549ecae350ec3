"""Legal object keys that break naive programs: the one list of them, for every adapter.

Amazon S3 User Guide, "Naming Amazon S3 objects": a key is any UTF-8 of at most 1,024 bytes. Not every server
keeps to that; `not_on` says who does not, and how.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudsync_pipeline.core.keys import escape

SEAWEEDFS = "seaweedfs"
"""Keeps objects in folders: it merges slashes and takes a backslash for one, and refuses dot segments and names of
more than 255 bytes."""

MOTO = "moto"
"""Its web framework cannot route a line feed."""

LOCAL = "local"
"""A POSIX folder: no empty or dot segments, no name above 255 bytes, no file beside a folder of its name."""


@dataclass(frozen=True, slots=True)
class HostileKey:
    """A key, what is hostile about it, and who cannot hold it."""

    name: str
    raw: str
    not_on: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """In escaped form, as everything inside the project has it."""
        return escape(self.raw)

    @property
    def content(self) -> bytes:
        """Something to store under it; nothing under a "folder", because SeaweedFS drops what is stored there."""
        return b"" if self.raw.endswith("/") else f"content of {self.name}".encode()


def _hostile(name: str, raw: str, *not_on: str) -> HostileKey:
    return HostileKey(name, raw, frozenset(not_on))


HOSTILE_KEYS: tuple[HostileKey, ...] = (
    # Segments that a path library takes away.
    _hostile("empty segment", "a//b", SEAWEEDFS, LOCAL),
    _hostile("leading slash", "/a", SEAWEEDFS, LOCAL),
    _hostile("only a slash", "/", SEAWEEDFS, LOCAL),
    _hostile("trailing slash", "dir/", LOCAL),
    _hostile("two trailing slashes", "dir2//", SEAWEEDFS, LOCAL),
    _hostile("dot segment", "a/./b", SEAWEEDFS, LOCAL),
    _hostile("parent segment", "a/../b", SEAWEEDFS, LOCAL),
    _hostile("escape from the root", "../x", SEAWEEDFS, LOCAL),
    _hostile("long escape from the root", "../../../../../../etc/hostile", SEAWEEDFS, LOCAL),
    _hostile("dot", ".", SEAWEEDFS, LOCAL),
    _hostile("two dots", "..", SEAWEEDFS, LOCAL),
    _hostile("three dots", "..."),
    _hostile("leading dots", "..a"),
    _hostile("trailing dot", "trailing."),
    # Spaces.
    _hostile("space", "in side"),
    _hostile("leading space", " leading"),
    _hostile("trailing space", "trailing "),
    _hostile("only a space", " "),
    _hostile("space at a segment's end", "seg ment / x"),
    _hostile("no-break space", "no\u00a0break"),
    # What means something in a URL.
    _hostile("plus", "a+b"),
    _hostile("percent", "100%"),
    _hostile("encoded slash", "a%2Fb"),
    _hostile("encoded space", "a%20b"),
    _hostile("encoded twice", "a%252Fb"),
    _hostile("hash", "#hash"),
    _hostile("question mark", "what?versionId=1"),
    _hostile("colon", "c:d"),
    _hostile("scheme", "https:x"),
    _hostile("semicolon and comma", "a;b,c=d@e"),
    # What means something in XML, shells, SQL and globs.
    _hostile("ampersand", "a&b"),
    _hostile("entity", "a&amp;b"),
    _hostile("less than", "a<b"),
    _hostile("greater than", "a>b"),
    _hostile("double quote", 'say "a"'),
    _hostile("single quote", "it's"),
    _hostile("end of CDATA", "]]>"),
    _hostile("tilde", "~"),
    _hostile("star", "*"),
    _hostile("only a question mark", "?"),
    _hostile("brackets", "[a]{b}(c)"),
    _hostile("variable", "$HOME"),
    _hostile("command", "`id`;$(id)"),
    _hostile("option", "-rf"),
    _hostile("backslash", "back\\slash", SEAWEEDFS),
    _hostile("backslash escape", "up\\..\\x", SEAWEEDFS),
    # Control characters.
    _hostile("tab", "tab\there"),
    _hostile("line feed", "line\nfeed", MOTO),
    _hostile("carriage return", "carriage\rreturn"),
    _hostile("start of heading", "ctl\x01x"),
    _hostile("substitute, our escape mark", "sub\x1a41x"),
    _hostile("escape", "esc\x1b[31mred"),
    _hostile("delete", "del\x7fx"),
    _hostile("next line", "nel\u0085x"),
    # Unicode.
    _hostile("NFC", "caf\u00e9"),
    _hostile("NFD", "cafe\u0301"),
    _hostile("emoji", "party \U0001f389"),
    _hostile("joined emoji", "\U0001f469\u200d\U0001f4bb"),
    _hostile("right-to-left override", "abc\u202etxt.exe"),
    _hostile("byte order mark", "\ufeffbom"),
    _hostile("replacement character", "what\ufffd"),
    _hostile("private use", "\ue000"),
    _hostile("line separator", "line\u2028separator"),
    _hostile("non-character", "\U0010ffff"),
    _hostile("full-width slash", "a\uff0fb"),
    # Names that some systems keep for themselves.
    _hostile("device name", "CON"),
    _hostile("device name with ending", "nul.txt"),
    _hostile("hidden", ".hidden"),
    # Lengths.
    _hostile("1,024 bytes in one segment", "n" * 1024, SEAWEEDFS, LOCAL),
    _hostile("1,024 bytes in segments", "/".join(["m" * 204] * 4 + ["m" * 204])),
    _hostile("255 bytes", "x" * 255),
    _hostile("255 bytes of two-byte letters", "\u00e9" * 127 + "x"),
    _hostile("very deep", "/".join(["d"] * 512)),
    # Beside each other.
    _hostile("a file beside a folder", "beside", LOCAL),
    _hostile("a folder beside a file", "beside/b"),
    _hostile("sorts between them", "beside-b"),
    _hostile("lower case", "case"),
    _hostile("upper case", "CASE"),
)


def keys_for(server: str) -> tuple[HostileKey, ...]:
    """The keys that this server can hold, all at once."""
    return tuple(hostile for hostile in HOSTILE_KEYS if server not in hostile.not_on)
