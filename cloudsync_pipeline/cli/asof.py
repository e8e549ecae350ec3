"""`--as-of`: a snapshot's number or a time."""

from __future__ import annotations

from datetime import datetime
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
    from cloudsync_pipeline.lake import asof

    try:
        return asof.parse_as_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
