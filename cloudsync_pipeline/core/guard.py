"""The delete guard: a wrong bucket, an emptied prefix or a lost right to list must not empty a file manager."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(hours=24)
"""Deletes are counted over this time, so that many small batches do not slip under the ratio."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard says of the deletes of one plan: all pass, or all are held."""

    held: bool
    reason: str | None = None


def judge(
    *,
    planned: int,
    done_in_window: int,
    files_at_start: int,
    max_ratio: float,
    min_deletes: int,
    files_now: int | None = None,
) -> Judgement:
    """Decide on the deletes of a plan (after renames were taken out of them).

    Args:
        planned: deletes that this plan wants.
        done_in_window: deletes done within the last `WINDOW`.
        files_at_start: files at the window's start.
        max_ratio: part of those files that may go within the window (0 to 1).
        min_deletes: with fewer deletes than this in the window the ratio is not looked at.
        files_now: files that are there now. Where there are many more than at the window's start, deleting as
            many as there were then leaves a good part, and is none of "all".
    """
    if planned == 0:
        return Judgement(held=False)
    total = planned + done_in_window
    there = max(files_at_start, (files_now or 0) + done_in_window)
    if files_at_start > 0 and total >= files_at_start and (total >= there or total > max_ratio * there):
        return Judgement(True, f"{planned:,} deletes would leave none of {files_at_start:,} files (24 h window)")
    if total >= min_deletes and total > max_ratio * files_at_start:
        done = f", {done_in_window:,} of them already done" if done_in_window else ""
        return Judgement(
            True,
            f"{total:,} of {files_at_start:,} files within 24 h{done}: more than max_delete_ratio {max_ratio:g}",
        )
    return Judgement(held=False)
