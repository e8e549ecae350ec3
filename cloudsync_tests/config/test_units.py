"""Durations, sizes, and log files that rotate by either."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.config.fields import Retention, Rotation
from cloudsync_tests.config.builders import LOCAL, load, refusal


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("300", 300),
        ("'300'", 300),
        ("0.5", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("'1 day'", 86_400),
        ("'2 days 12 hours'", 216_000),
        ("250ms", 0.25),
        ("1w", 604_800),
    ],
)
def test_durations_are_seconds_or_text(tmp_path: Path, written: str, seconds: float) -> None:
    acme = load(tmp_path, acme=f"{LOCAL}\n    sync: {{interval: {written}}}\n").integration("acme")

    assert acme.sync.interval == seconds


@pytest.mark.parametrize("written", ["0", "-5", "true", "soon", "5 parsecs", "m5", "''", "[5]", ".inf", "1h;30m"])
def test_other_durations_are_errors(tmp_path: Path, written: str) -> None:
    error = refusal(tmp_path, f"{LOCAL}\n    sync: {{interval: {written}}}\n")

    assert "acme.yaml: sync.interval: expected a duration: seconds, or text like `30s`, `5m`" in error


@pytest.mark.parametrize(
    ("written", "expected"), [("1000", 1000), ("64MiB", 64 * 2**20), ("10 MB", 10**7), ("1.5kb", 1500)]
)
def test_sizes_are_bytes_or_text(tmp_path: Path, written: str, expected: int) -> None:
    acme = load(tmp_path, acme=f"{LOCAL}\n    sync: {{max_bytes_in_flight: {written}}}\n").integration("acme")

    assert acme.sync.max_bytes_in_flight == expected


def test_other_sizes_are_errors(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{LOCAL}\n    sync: {{max_bytes_in_flight: big}}\n")

    assert "sync.max_bytes_in_flight: expected a size: bytes, or text like" in error
    assert "found 'big'" in error


@pytest.mark.parametrize(
    ("written", "rotation", "retention"),
    [
        ("rotation: 10 MB, retention: 5", Rotation(bytes=10**7), Retention(files=5)),
        ("rotation: 12h, retention: 7d", Rotation(seconds=43_200), Retention(seconds=604_800)),
    ],
)
def test_log_files_rotate_by_size_or_age(
    tmp_path: Path, written: str, rotation: Rotation, retention: Retention
) -> None:
    logging = load(tmp_path, f"logging: {{{written}}}").settings.logging

    assert logging.rotation == rotation
    assert logging.retention == retention
