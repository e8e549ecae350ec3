"""`--as-of`: a snapshot's number or a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="SNAPSHOT|TIME",
        help="As it was: a snapshot's number, or a time like 2026-01-31T12:00:00Z (UTC where no zone is given).",
    ),
]


def parse_as_of(text: str | None) -> tuple[int | None, datetime | None]:
    """The snapshot or the time that is meant; neither for None.

    Raises:
        typer.BadParameter: it is neither.
    """
    if text is None:
        return None, None
    if text.isascii() and text.isdigit():
        return int(text), None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a snapshot's number nor a time like 2026-01-31T12:00:00Z", param_hint="--as-of"
        ) from None
    return None, time if time.tzinfo else time.replace(tzinfo=UTC)
