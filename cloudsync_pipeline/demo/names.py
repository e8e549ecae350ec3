"""Object names that break careless programs, as the demonstration's storage can hold them."""

from __future__ import annotations

HOSTILE = (
    "hostile/ spaces  everywhere .txt",
    "hostile/plus+and%20percent%.txt",
    "hostile/100% ÿ.txt",
    "hostile/composed-\u00e9.txt",
    "hostile/decomposed-e\u0301.txt",
    "hostile/tab\there.txt",
    "hostile/line\nbreak.txt",
    "hostile/return\rhere.txt",
    "hostile/control-\x01-\x1a-\x7f.txt",
    "hostile/quote'\"`.txt",
    "hostile/&amp;<xml>.txt",
    "hostile/#hash?query=1&x=2.txt",
    "hostile/colon:star*question?pipe|<>.txt",
    "hostile/trailing dot.",
    "hostile/trailing space ",
    "hostile/~tilde$HOME$(id).txt",
    "hostile/-rf",
    "hostile/.hidden",
    "hostile/..two dots",
    "hostile/...",
    "hostile/CON",
    "hostile/Case.txt",
    "hostile/case.txt",
    "hostile/emoji-\U0001f600.txt",
    "hostile/right-to-left-\u202etxt.exe",
    "hostile/byte-order-mark-\ufeff.txt",
    "hostile/" + "n" * 240,
    "hostile/" + "/".join(["deep"] * 40) + "/file.txt",
    "hostile/" + "/".join(["p" * 100] * 9) + "/end.txt",
)
"""Names that both kinds of file manager of the demonstration hold."""

UNHOLDABLE = (
    "clash/report",
    "clash/report/page.txt",
    "markers/folder/",
)
"""Names of which a folder on disk cannot hold all: a file beside a folder of its name, and names that end in `/`."""
