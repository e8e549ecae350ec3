"""What is shown to people: tables that hold any key, lines in a log, and errors."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from cloudsync_pipeline.assets import lines
from cloudsync_pipeline.assets.failures import as_failures, failure_of
from cloudsync_pipeline.assets.metadata import EXAMPLES, cell, markdown_table
from cloudsync_pipeline.assets.progress import ProgressLog
from cloudsync_pipeline.core.errors import NotFound, Throttled
from cloudsync_pipeline.engine.results import Progress

HALF = Progress("acme", 5, 10, 50 * 2**20, 100 * 2**20, 0, 60.0, 2 * 2**20, 25.0)


class TestTables:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("plain.txt", "plain.txt"),
            ("a|b", "a\\|b"),
            ("line\nbreak", "line\\\\nbreak"),
            ("\x1a00", "\\\\x1a00"),
            ("`*_[<", "\\`\\*\\_\\[\\<"),
            ("é漢", "é漢"),
            (3, "3"),
        ],
    )
    def test_a_value_stays_in_its_cell(self, value: object, shown: str) -> None:
        assert cell(value) == shown

    def test_a_long_value_is_shortened(self) -> None:
        assert cell("x" * 500) == "x" * 79 + "…"

    def test_some_rows_stand_for_all(self) -> None:
        told = markdown_table(("key",), [(number,) for number in range(1234)]).value or ""
        assert told.count("\n| ") == EXAMPLES + 1
        assert told.endswith("... and 1,224 more")

    def test_no_rows_are_told_as_such(self) -> None:
        assert markdown_table(("key",), []).value == "none"


class TestProgress:
    @pytest.fixture
    def log(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        caplog.set_level(logging.INFO)
        return caplog

    def test_a_line_tells_operations_bytes_rate_and_time_left(self) -> None:
        assert lines.progress(HALF) == "5 of 10 operations (50%), 50.0 MiB of 100.0 MiB, 2.0 MiB/s, 25 s left"
        assert "3 failed" in lines.progress(replace(HALF, failed=3))
        assert "not known yet" in lines.progress(replace(HALF, eta=None))

    def test_a_line_comes_every_ten_seconds_or_five_percent(self, log: pytest.LogCaptureFixture) -> None:
        tell = ProgressLog(logging.getLogger("run"))
        for seconds, sent in ((0.5, 0), (2, 1), (3, 2), (4, 8), (5, 9), (13, 10), (15, 11), (16, 16)):
            tell(replace(HALF, seconds=seconds, bytes=sent * 2**20))
        assert [record.message.split(", ")[1] for record in log.records] == [
            "8.0 MiB of 100.0 MiB",
            "11.0 MiB of 100.0 MiB",
            "16.0 MiB of 100.0 MiB",
        ]

    def test_hours_are_watched_less_closely(self, log: pytest.LogCaptureFixture) -> None:
        tell = ProgressLog(logging.getLogger("run"))
        for second in range(36_000):
            tell(replace(HALF, seconds=second, bytes=0))
        assert 100 < len(log.records) < 400

    @pytest.mark.parametrize(
        ("seconds", "shown"), [(0, "0 s"), (59.4, "59 s"), (185, "3 min 5 s"), (7_800, "2 h 10 min")]
    )
    def test_durations_are_for_people(self, seconds: float, shown: str) -> None:
        assert lines.duration(seconds) == shown

    @pytest.mark.parametrize(
        ("number", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**40, "3.0 TiB")]
    )
    def test_sizes_are_for_people(self, number: int, shown: str) -> None:
        assert lines.size(number) == shown

    def test_without_bytes_the_operations_tell_the_share(self) -> None:
        assert lines.share(replace(HALF, bytes=0, bytes_total=0)) == 0.5
        assert lines.share(replace(HALF, bytes=0, bytes_total=0, operations=0, operations_total=0)) == 1.0


class TestErrors:
    def test_one_of_ours_says_where_what_and_what_to_do(self) -> None:
        failure = failure_of(Throttled("Too many requests.", key="a.txt", remedy="Wait.", retry_after=30), "acme")

        assert failure.description == "acme: Too many requests. ('a.txt') Wait."
        told = {name: value.value for name, value in failure.metadata.items()}
        assert told == {
            "integration": "acme",
            "error": "Throttled",
            "retryable": True,
            "key": "a.txt",
            "remedy": "Wait.",
            "retry_after_seconds": 30,
        }
        assert failure.allow_retries

    def test_what_cannot_help_is_not_tried_again(self) -> None:
        assert not failure_of(NotFound("It is not there.", integration="acme"), "acme").allow_retries

    def test_a_defect_keeps_its_own_type(self) -> None:
        with pytest.raises(ZeroDivisionError), as_failures("acme"):
            _ = 1 // 0
