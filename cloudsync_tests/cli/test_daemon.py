"""The daemon syncs what is due, is not ended by errors, and ends in order when it is told to."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cloudsync_pipeline import launch
from cloudsync_pipeline.cli import daemon_loop
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control.locks import writer_lock
from cloudsync_tests.cli.builders import Place, put

SOON = 60.0


def until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SOON
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@contextmanager
def a_daemon(place: Place) -> Iterator[subprocess.Popen[str]]:
    process = place.start("daemon", "--tick", "0.2")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], how: signal.Signals) -> tuple[int, str]:
    began = time.monotonic()
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 30
    return process.returncode, err


def test_it_brings_over_what_is_there_and_then_what_changes_and_what_is_added(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha"}, extra="sync: {interval: 1s}\n")
    shutil.rmtree(place.local("broken", {"a.txt": "alpha"}, extra="sync: {interval: 1s}\n"))
    place.integration("unusable", "nonsense: 1\n")
    with a_daemon(place) as process:
        until(lambda: place.files("one") == {"a.txt": "alpha"}, process)
        put(source, "b.txt", "beta")
        until(lambda: len(place.files("one")) == 2, process)
        place.local("added", {"c.txt": "gamma"})
        until(lambda: place.files("added") == {"c.txt": "gamma"}, process)
        code, err = end(process, signal.SIGTERM)
    assert code == 143
    assert "one: initial sync in_sync" in err
    assert "one: reconcile sync in_sync" in err
    assert "error: broken: " in err
    assert err.count("left out until its configuration is corrected") == 1
    assert "the daemon has stopped" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_and_the_locks_are_free(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"}, extra="sync: {interval: 1s}\n")
    with a_daemon(place) as process:
        until(lambda: place.files("one") == {"a.txt": "alpha"}, process)
        code, _ = end(process, signal.SIGINT)
    assert code == 130
    assert place.run("reconcile").code == 0


def test_what_shall_not_start_by_itself_does_not(place: Place) -> None:
    place.local("waits", {"a.txt": "alpha"}, extra="sync: {initial_sync_on_startup: false}\n")
    place.local("one", {"a.txt": "alpha"})
    with a_daemon(place) as process:
        until(lambda: place.files("one") == {"a.txt": "alpha"}, process)
        end(process, signal.SIGTERM)
    assert place.files("waits") == {}


def test_a_second_daemon_is_refused(place: Place) -> None:
    place.local("one")
    folder = place.folder / "state" / "daemon"
    with writer_lock(folder, integration="the daemon", run_id="daemon", purpose="daemon"):
        ran = place.run("daemon")
    assert ran.code == 7


def test_it_does_not_start_beside_the_schedules_of_dagster(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.local("one", {"a.txt": "alpha"})
    monkeypatch.setattr(launch, "instance_configured", lambda: True)
    monkeypatch.setattr(launch, "schedules_active", lambda: ["incremental_schedule"])
    ran = place.run("daemon")
    assert ran.code == 5
    assert "incremental_schedule" in ran.err
    assert "unset DAGSTER_HOME" in ran.err
    assert place.files("one") == {}


def test_a_configuration_that_cannot_be_used_is_told_at_once(place: Place) -> None:
    place.config.write_text("databases: {}\n")
    assert place.run("daemon").code == 5


def test_the_daemon_maintains_the_state_of_what_it_syncs(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.local("one", {"a": "content"})
    place.run("initial-sync", "--direct")
    fleet = load_fleet(place.config)
    with caplog.at_level(logging.INFO, logger="cloudsync_pipeline"):
        daemon_loop.maintain_one(fleet, "one")
    assert "one: maintenance done" in caplog.text
