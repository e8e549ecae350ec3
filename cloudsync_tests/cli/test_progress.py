"""How far a transfer is, told in lines where there is no terminal."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.cli import progress
from cloudsync_pipeline.engine.results import Progress


def a_progress(operations: int, *, integration: str = "one", failed: int = 0, eta: float | None = 4.0) -> Progress:
    return Progress(
        integration=integration,
        operations=operations,
        operations_total=10,
        bytes=operations * 2**20,
        bytes_total=10 * 2**20,
        failed=failed,
        seconds=1.0,
        rate=2.0**20,
        eta=eta,
    )


def test_a_line_tells_operations_bytes_rate_and_time_left() -> None:
    assert (
        progress.in_words(a_progress(3, failed=1))
        == "one: 3 of 10 operations, 3.0 MiB of 10.0 MiB, 1.0 MiB/s, 1 failed, 4.0 s left"
    )


def test_lines_come_at_intervals_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, 6.0, 6.5])
    lines = progress.Lines(lambda: next(times))
    for done in (1, 2, 3, 10):
        lines(a_progress(done))
    told = [line.split(" ")[1] for line in capsys.readouterr().err.splitlines()]
    assert told == ["1", "3", "10"]


def test_each_integration_has_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown() as on_progress:
        on_progress(a_progress(1))
        on_progress(a_progress(1, integration="two"))
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["one", "two"]


def test_nothing_is_shown_where_nothing_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown(quiet=True) as on_progress:
        on_progress(a_progress(1))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.shown() as on_progress:
        on_progress(a_progress(3, failed=1))
        on_progress(a_progress(10))
    shown = capsys.readouterr().err
    assert "one" in shown
    assert "10/10" in shown
