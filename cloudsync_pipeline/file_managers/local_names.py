"""When two names are one: file systems that ignore case, or the form of Unicode letters."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folding:
    """Which differences between names the file system ignores.

    Attributes:
        case: `A` and `a` are one name.
        forms: composed and decomposed Unicode forms are one name.
    """

    case: bool = False
    forms: bool = False

    def __bool__(self) -> bool:
        return self.case or self.forms

    def fold(self, name: bytes) -> str:
        text = name.decode("utf-8", "surrogateescape")
        if self.forms:
            text = unicodedata.normalize("NFC", text)
        return text.casefold() if self.case else text


def folding_of(folder: int, case_sensitive: bool | None) -> Folding:
    """What the file system of a folder ignores, by trying in it; `case_sensitive` overrides what is found of case."""

    def same(written: str, asked: str) -> bool:
        name = written.encode()
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
        try:
            os.stat(asked.encode(), dir_fd=folder)
        except FileNotFoundError:
            return False
        finally:
            os.unlink(name, dir_fd=folder)
        return True

    composed = "probe-\u00e9"
    forms = same(composed, unicodedata.normalize("NFD", composed))
    return Folding(case=same("probe-a", "PROBE-A") if case_sensitive is None else not case_sensitive, forms=forms)
