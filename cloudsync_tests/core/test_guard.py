"""The delete guard."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.core.guard import judge


def held(planned: int, done: int, files: int, *, ratio: float = 0.5, least: int = 20) -> bool:
    judgement = judge(planned=planned, done_in_window=done, files_at_start=files, max_ratio=ratio, min_deletes=least)
    assert judgement.held == (judgement.reason is not None)
    return judgement.held


@pytest.mark.parametrize(
    ("planned", "done", "files", "expected"),
    [
        (0, 0, 100, False),
        (0, 99, 100, False),
        (50, 0, 100, False),
        (51, 0, 100, True),
        (11, 40, 100, True),
        (10, 40, 100, False),
        (19, 0, 30, False),
        (20, 0, 30, True),
        (1, 0, 1, True),
        (3, 0, 3, True),
        (1, 2, 3, True),
        (2, 0, 3, False),
    ],
)
def test_holds_what_goes_beyond_the_ratio_or_would_leave_nothing(
    planned: int, done: int, files: int, expected: bool
) -> None:
    assert held(planned, done, files) is expected


def test_a_ratio_of_one_still_keeps_the_last_file() -> None:
    assert not held(99, 0, 100, ratio=1.0)
    assert held(100, 0, 100, ratio=1.0)


def test_the_reason_names_the_numbers() -> None:
    judgement = judge(planned=60, done_in_window=5, files_at_start=100, max_ratio=0.5, min_deletes=20)
    assert judgement.reason is not None
    for told in ("65", "100", "5", "max_delete_ratio 0.5"):
        assert told in judgement.reason
