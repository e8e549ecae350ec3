"""Log lines go where they are wanted, say what they are about, and do not fill the disk."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsync_pipeline import logs
from cloudsync_pipeline.config.fields import Retention, Rotation
from cloudsync_pipeline.config.settings import LoggingSettings
from cloudsync_pipeline.control import Holder, writer_lock
from cloudsync_pipeline.core.errors import ConfigError

log = logging.getLogger("cloudsync_pipeline.some.room")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Logging as it was before."""
    yield
    for handler in list(logging.getLogger().handlers):
        if type(handler).__module__ == logs.__name__:
            logging.getLogger().removeHandler(handler)
            handler.close()


def settings(**values: object) -> LoggingSettings:
    return LoggingSettings.model_validate(values)


def test_lines_of_the_configured_level_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings(level="INFO"))
    log.debug("quiet")
    log.info("heard")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("INFO some.room heard\n")
    assert "quiet" not in captured.err


def test_the_console_can_be_quieter_than_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logs.configure(settings(level="DEBUG", file=tmp_path / "a.log"), console="WARNING")
    log.debug("details")
    assert capsys.readouterr().err == ""
    assert "details" in (tmp_path / "a.log").read_text()


def test_configuring_again_replaces_and_does_not_double(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings())
    logs.configure(settings())
    log.info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_lines_say_which_integration_and_run_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings())
    with logs.about(integration="acme", run_id="run-7"):
        log.info("inside")
    log.info("outside")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO some.room [acme run-7] inside")
    assert second.endswith("INFO some.room outside")


def test_a_key_with_a_line_break_makes_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings())
    log.info("stored %s", "a\n2026-01-01T00:00:00Z ERROR forged\r")
    assert capsys.readouterr().err.count("\n") == 1


def test_json_lines_hold_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings(format="json"))
    with logs.about(integration="acme", run_id="run-7"):
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("it broke\nhere")
    document = json.loads(capsys.readouterr().err)
    assert document["message"] == "it broke\nhere"
    assert (document["integration"], document["run_id"], document["level"]) == ("acme", "run-7", "ERROR")
    assert "ValueError: wrong" in document["traceback"]


def test_details_can_be_kept_for_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logs.configure(settings(file=tmp_path / "a.log"), details=False)
    log.error("a traceback", extra={"details": True})
    assert capsys.readouterr().err == ""
    assert "a traceback" in (tmp_path / "a.log").read_text()
    logs.configure(settings())
    log.error("a traceback", extra={"details": True})
    assert "a traceback" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        logs.configure(settings(file=tmp_path / "file" / "a.log"))


def test_in_a_process_of_dagster_libraries_warnings_are_in_the_file_and_its_own_lines_are_not(tmp_path: Path) -> None:
    logs.configure_file(settings(file=tmp_path / "a.log"))
    try:
        with logs.about(integration="acme", run_id="run-7"):
            logging.getLogger("some.library").warning("careful")
            logging.getLogger("dagster.own").error("kept elsewhere")
            log.warning("ours")
    finally:
        logs.configure_file(settings())
    logging.getLogger("some.library").warning("after the end")
    first, second = (tmp_path / "a.log").read_text().splitlines()
    assert first.endswith("WARNING some.library [acme run-7] careful")
    assert second.endswith("WARNING some.room [acme run-7] ours")


def test_a_heartbeat_s_lines_are_about_the_run_that_it_is_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(settings())
    told = threading.Event()

    def tell(_: Holder) -> None:
        log.warning("a sign of life")
        told.set()

    with (
        logs.about(integration="acme", run_id="run-7"),
        writer_lock(tmp_path, integration="acme", run_id="run-7", purpose="test", on_heartbeat=tell),
    ):
        assert told.wait(30)
    assert "[acme run-7] a sign of life" in capsys.readouterr().err


def test_what_is_inside_adds_to_what_is_outside(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings())
    with logs.about(integration="acme"):
        with logs.about(run_id="run-7"):
            log.info("inside")
        log.info("outside")
    assert [line.partition("some.room ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "[acme run-7] inside",
        "[acme] outside",
    ]


# --- rotation and retention ---------------------------------------------------------------------


def a_file(folder: Path, rotation: Rotation, retention: Retention) -> logs.LogFile:
    handler = logs.LogFile(folder / "sync.log", rotation, retention)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def write(handler: logs.LogFile, text: str) -> None:
    handler.emit(logging.LogRecord("x", logging.INFO, __file__, 1, text, None, None))


def closed(folder: Path) -> list[Path]:
    return sorted(folder.glob("sync-*.log"))


def test_a_file_that_is_large_enough_is_closed(tmp_path: Path) -> None:
    handler = a_file(tmp_path, Rotation(bytes=10), Retention(files=5))
    for text in ("first line", "second"):
        write(handler, text)
    handler.close()
    assert [one.read_text() for one in closed(tmp_path)] == ["first line\n"]
    assert (tmp_path / "sync.log").read_text() == "second\n"


def test_a_file_that_is_old_enough_is_closed(tmp_path: Path) -> None:
    handler = a_file(tmp_path, Rotation(seconds=3600), Retention(files=5))
    write(handler, "yesterday")
    handler.close()
    begun = tmp_path / ".sync.log.begun"
    os.utime(begun, (time.time() - 7200, time.time() - 7200))
    handler = a_file(tmp_path, Rotation(seconds=3600), Retention(files=5))
    write(handler, "today")
    write(handler, "and still")
    handler.close()
    assert [one.read_text() for one in closed(tmp_path)] == ["yesterday\n"]
    assert (tmp_path / "sync.log").read_text() == "today\nand still\n"


def test_so_many_closed_files_are_kept(tmp_path: Path) -> None:
    handler = a_file(tmp_path, Rotation(bytes=1), Retention(files=2))
    for number in range(6):
        write(handler, str(number))
    handler.close()
    assert [one.read_text() for one in closed(tmp_path)] == ["3\n", "4\n"]


def test_closed_files_are_kept_so_long(tmp_path: Path) -> None:
    old = tmp_path / "sync-20200101T000000.000000.log"
    other = tmp_path / "sync-notes.log"
    for file in (old, other):
        file.write_text("old")
        os.utime(file, (1, 1))
    handler = a_file(tmp_path, Rotation(bytes=1), Retention(seconds=3600))
    write(handler, "a")
    write(handler, "b")
    handler.close()
    assert not old.exists()
    assert other.exists()
    assert [one.read_text() for one in closed(tmp_path) if one != other] == ["a\n"]


def test_processes_share_a_file_and_lose_no_line(tmp_path: Path) -> None:
    script = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from cloudsync_pipeline.config.fields import Retention, Rotation\n"
        "from cloudsync_pipeline.logs import LogFile\n"
        "handler = LogFile(Path(sys.argv[1]), Rotation(bytes=500), Retention(files=1000))\n"
        "for number in range(300):\n"
        "    text = f'{sys.argv[2]} {number}'\n"
        "    handler.emit(logging.LogRecord('x', 20, 'f', 1, text, None, None))\n"
    )
    root = str(Path(__file__).resolve().parents[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "sync.log"), name], env={**os.environ, "PYTHONPATH": root}
        )
        for name in ("one", "two", "three")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    lines = [line for file in [*closed(tmp_path), tmp_path / "sync.log"] for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in ("one", "two", "three") for number in range(300))
