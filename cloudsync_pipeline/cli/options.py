"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Integrations = Annotated[
    list[str] | None,
    typer.Option(
        "--integration", "-i", help="An integration; give it again for several. Default: all.", metavar="NAME"
    ),
]
Direct = Annotated[
    bool, typer.Option("--direct", help="Run in this process, even where a Dagster instance is configured.")
]
SideBySide = Annotated[
    int, typer.Option("--side-by-side", min=1, max=64, help="How many integrations at once, when run directly.")
]
Json = Annotated[bool, typer.Option("--json", help="Give the result as one JSON document on standard output.")]
