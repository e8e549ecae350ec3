"""The daemon syncs what is due, is not ended by errors, and ends in order when it is told to."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from cloudsync_pipeline import launch, wiring
from cloudsync_pipeline.backup import shelf
from cloudsync_pipeline.cli import daemon_loop
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control.locks import writer_lock
from cloudsync_pipeline.engine.results import Mode
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


def test_the_first_maintenance_is_an_hour_after_its_start_and_then_daily(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.local("one", {"a": "content"})
    fleet = load_fleet(place.config)
    maintained: list[str] = []
    monkeypatch.setattr(daemon_loop, "maintain_one", lambda _fleet, name: maintained.append(name))
    loop = daemon_loop._Loop(lambda: fleet, 2)

    for ago, times in ((0, 0), (59, 0), (61, 1), (23 * 60, 1)):
        loop._started = datetime.now(UTC) - timedelta(minutes=ago)
        asyncio.run(loop._one(fleet, "one", Mode.RECONCILE))
        assert len(maintained) == times
    loop._next_maintenance["one"] -= timedelta(days=1)
    asyncio.run(loop._one(fleet, "one", Mode.RECONCILE))
    assert maintained == ["one", "one"]


def test_a_backup_comes_before_the_next_sync_of_what_is_always_due(place: Place) -> None:
    place.config.write_text("database: {path: state, backup_enabled: true}\n")
    place.local("one", {"a": "content"})
    place.run("initial-sync", "--direct")
    loop = daemon_loop._Loop(lambda: load_fleet(place.config), 2)

    async def looked() -> None:
        # A sync is under way while backups are looked for, and the next one is due when it ends.
        loop._running["one"] = asyncio.create_task(asyncio.sleep(0))
        await loop.look()
        del loop._running["one"]
        with wiring.open_control(load_fleet(place.config).settings) as control:
            control.request_scan("one", "always due")
        await loop.look()
        await asyncio.gather(*loop._running.values())

    asyncio.run(looked())
    assert shelf.parts(place.folder / "backups") == ["integrations/one", "control"]


def test_it_backs_up_what_is_due_also_where_nothing_is_synced(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config.write_text("database: {path: state, backup_enabled: true, backup_interval: 1d}\n")
    place.local("one", {"a": "content"})
    place.local("not-yet", extra="sync: {initial_sync_on_startup: false}\n")
    place.run("initial-sync", "-i", "one", "--direct")
    loop = daemon_loop._Loop(lambda: load_fleet(place.config), 2)

    async def looked() -> set[str]:
        await loop.look()
        started = set(loop._running)
        await asyncio.gather(*loop._running.values())
        return started

    with caplog.at_level(logging.INFO, logger="cloudsync_pipeline"):
        assert asyncio.run(looked()) == {"one"}
        assert "one: backed up" in caplog.text
        assert shelf.parts(place.folder / "backups") == ["integrations/one", "control"]
        # Not even looked for so soon; and later, none is due.
        assert asyncio.run(looked()) == set()
        monkeypatch.setattr(daemon_loop, "BACKUPS_EVERY", timedelta(0))
        assert asyncio.run(looked()) == set()
        (one,) = (place.folder / "backups" / "integrations" / "one").iterdir()
        one.rename(one.with_name("20010101T000000Z"))
        assert asyncio.run(looked()) == {"one"}
    assert len(shelf.listed(place.folder / "backups", "integrations/one")) == 2
