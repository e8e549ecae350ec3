"""The objects of a page, cut out of its XML where a server writes all of them alike, as every known one does.

Then a page is split at its tags, and each column must hold the same tag throughout: a quarter of what an XML parser and
a walk through its tree take. Whatever is unusual in a page is left to the parser.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

_BEGIN, _END = "<Contents>", "</Contents>"
_PLACEHOLDER = "<Contents/>"
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n")
"""XML forbids them, but for the carriage return, which it reads as a line feed."""
_REFERENCES = {"&#34;": '"', "&quot;": '"', "&#39;": "'", "&apos;": "'", "&lt;": "<", "&gt;": ">"}
_BETWEEN = "\x00"


@dataclass(frozen=True, slots=True)
class Entries:
    """What was cut out.

    Attributes:
        count: how many objects there are.
        rest: the page, with one empty `Contents` in the place of all of them.
        columns: texts by the name of their element, in the order of the objects; None for an empty one.
    """

    count: int
    rest: str
    columns: dict[str, list[str | None]]


def cut_out(body: bytes) -> Entries | None:
    """The objects of a page; None where the page has to be read as XML, all of it."""
    if not body.isascii() or len(body.translate(None, _CONTROLS)) != len(body):
        return None
    # Comments, sections and declarations. A single character is found in a tenth of the time.
    if (b"!" in body and b"<!" in body) or (b"]" in body and b"]]>" in body):
        return None
    text = body.decode("ascii")
    begin, end = text.find(_BEGIN), text.rfind(_END) + len(_END)
    if begin < 0 or end <= begin:
        return None
    first = text[begin : text.index(_END, begin) + len(_END)]
    if not _is_plain(first):
        return None
    # An entry is tags, each with the text behind it up to the next one; of each, those of all entries make a column.
    form = [piece.partition(">")[0] for piece in first.split("<")[1:]]
    pieces = text[begin:end].split("<")[1:]
    count, left = divmod(len(pieces), len(form))
    columns: dict[str, list[str | None]] = {}
    for place, (tag, following) in enumerate(zip(form, [*form[1:], ""], strict=True)):
        column = pieces[place :: len(form)]
        texts = (_BETWEEN + _BETWEEN.join(column)).split(f"{_BETWEEN}{tag}>")[1:]
        if left or len(texts) != count:
            return None
        if following == f"/{tag}":
            read = _read(texts)
            if read is None:
                return None
            columns[tag] = read
        elif any(texts):
            return None
    return Entries(count, text[:begin] + _PLACEHOLDER + text[end:], columns)


def _is_plain(entry: str) -> bool:
    """Whether an entry is a flat list of elements without attributes, each of another name."""
    try:
        root = ET.fromstring(entry)  # noqa: S314 - a page with a DOCTYPE was refused
    except ET.ParseError:
        return False
    tags = [element.tag for element in root.iter()]
    return len(set(tags)) == len(tags) and not any(element.attrib or len(element) for element in root)


def _read(texts: Sequence[str]) -> list[str | None] | None:
    """What the texts of a column stand for; None where they hold a reference that is not known here."""
    whole = _BETWEEN.join(texts)
    if "&" in whole:
        for reference, character in _REFERENCES.items():
            whole = whole.replace(reference, character)
        if whole.count("&") != whole.count("&amp;"):
            return None
        texts = whole.replace("&amp;", "&").split(_BETWEEN)
    return [text or None for text in texts] if "" in texts else list(texts)
