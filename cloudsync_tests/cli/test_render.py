"""How results look, to a person and to a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cloudsync_pipeline.cli import render
from cloudsync_pipeline.engine.results import Mode, Progress


def test_control_characters_of_a_key_are_shown_and_not_obeyed() -> None:
    assert render.printable("a\x1b[2Jb\nc\u202e") == "a\\x1b[2Jb\\nc\\u202e"


def test_an_escaped_key_is_shown_as_it_is_outside() -> None:
    assert render.path("a\x1a00b") == "a\\x00b"


def test_bytes_that_are_no_text_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    render.say(render.path("a\x1affb"))
    assert capsys.readouterr().out == "a\\udcffb\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (64 * 2**20, "64.0 MiB"), (3 * 2**50, "3.0 PiB")],
)
def test_sizes_are_told_in_a_unit_that_fits(count: int, text: str) -> None:
    assert render.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3720, "1 h 2 min")]
)
def test_durations_are_told_shortly(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


def test_a_table_in_a_pipe_is_aligned_and_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("name", "count"), [("a" * 200, 5), ("b", 1234567)])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.split() == ["name", "count"]
    assert second == f"{'a' * 200}  {5:>9}"
    assert third == f"{'b' * 1:<200}  1,234,567"


def test_json_holds_times_in_utc_and_the_values_of_enumerations() -> None:
    at = datetime(2026, 1, 31, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    assert render.as_json({"at": at, "mode": Mode.INITIAL, "place": Path("/a"), "many": (1, 2)}) == {
        "at": "2026-01-31T12:00:00Z",
        "mode": "initial",
        "place": "/a",
        "many": [1, 2],
    }


def test_json_of_a_dataclass_is_an_object() -> None:
    progress = Progress("one", 1, 2, 3, 4, 0, 1.0, 3.0, None)
    assert json.loads(json.dumps(render.as_json(progress)))["operations_total"] == 2


def test_json_goes_out_on_one_line_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    render.emit_json({"at": datetime(2026, 1, 1, tzinfo=UTC), "key": "caf\u00e9\udcff"})
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line) == {"at": "2026-01-01T00:00:00Z", "key": "caf\u00e9\udcff"}
