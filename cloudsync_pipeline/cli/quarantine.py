"""Paths in quarantine, as a person sees them: why, how often they were tried, and when they are tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cloudsync_pipeline.cli import render

if TYPE_CHECKING:
    from cloudsync_pipeline.lake import Lake

SHOWN = 100
"""At most so many; the API has them all, in pages."""


def documents(lake: Lake) -> list[dict[str, Any]]:
    """The first of them by path, as JSON."""
    from cloudsync_pipeline.lake import pages

    found: list[dict[str, Any]] = render.as_json(pages.quarantine(lake, limit=SHOWN))
    return found


def show(shown: Sequence[dict[str, Any]], paths: int) -> None:
    """A table of them; nothing where there are none.

    Args:
        paths: how many there are in all.
    """
    if not shown:
        return
    rows = [(render.path(one["path"]), one["aspect"], one["attempts"], _next_try(one), one["error"]) for one in shown]
    render.say()
    render.table(("quarantined", "what", "failed runs", "next try", "why"), rows)
    more = paths - len({one["path"] for one in shown})
    if more > 0:
        render.say(f"... and {more:,} more")


def _next_try(one: dict[str, Any]) -> datetime | str:
    return datetime.fromisoformat(one["next_try"]) if one["next_try"] else "when `cloudsync retry` asks for it"
