"""How results are shown: tables for a terminal, aligned lines for a pipe, JSON for a script."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from cloudsync_pipeline.core.keys import unescape

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def terminal() -> bool:
    """Whether a person looks at what is printed."""
    return sys.stdout.isatty()


def say(text: str = "") -> None:
    """A line of the command's result."""
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line about how things go, beside the result."""
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stderr.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Rows under columns; numbers to the right. Nothing is cut off where nobody looks."""
    texts = [[cell(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    if terminal():
        _rich_table(columns, texts, right, title)
        return
    if title:
        say(title)
    widths = [max(len(column), *(len(row[i]) for row in texts), 0) for i, column in enumerate(columns)]
    for row in (list(columns), *texts):
        aligned = [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)]
        say("  ".join(aligned).rstrip())


def _rich_table(
    columns: Sequence[str], texts: Sequence[Sequence[str]], right: Sequence[bool], title: str | None
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False, box=None, header_style="bold")
    for column, is_right in zip(columns, right, strict=True):
        shown.add_column(column, justify="right" if is_right else "left", overflow="fold")
    for row in texts:
        # As Text: a key like "[red]" is no markup.
        shown.add_row(*(Text(text) for text in row))
    Console().print(shown)


def cell(value: object) -> str:
    """One value as text on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """Text without characters that would move a terminal's cursor or hide what stands there; visibly escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def path(key: str) -> str:
    """An escaped key as a person knows it."""
    return printable(unescape(key))


def size(count: float) -> str:
    """Bytes in a unit that fits."""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds, as short as they can be said."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(at: datetime) -> str:
    """A time, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def ago(at: datetime, now: datetime) -> str:
    """How long ago a time was."""
    return f"{duration(max(0.0, (now - at).total_seconds()))} ago"


def counted(kinds: Mapping[str, int]) -> str:
    """Counts by kind, in words: "3 create, 1 move"."""
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count) or "none"


def as_json(value: Any) -> Any:
    """Results as JSON can hold them: dataclasses as objects, times as ISO 8601 UTC, enumerations as their values."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(one) for one in value]
    return value


def emit_json(document: Mapping[str, Any]) -> None:
    """The command's whole result as one JSON document."""
    say(json.dumps(as_json(document), indent=2 if terminal() else None))
