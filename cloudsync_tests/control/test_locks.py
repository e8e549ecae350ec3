"""One writer an integration."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Holder, WriterLock, holder, writer_lock
from cloudsync_pipeline.core.errors import LockHeld, LockLost, StateError
from cloudsync_tests.control.holding import another_process


@contextmanager
def locked(folder: Path, run_id: str = "run-1", **settings: object) -> Iterator[WriterLock]:
    with writer_lock(
        folder,
        integration="acme",
        run_id=run_id,
        purpose="incremental sync",
        **{"patience": 0.05, **settings},  # type: ignore[arg-type]
    ) as lock:
        yield lock


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with locked(tmp_path / "new folder", "run-1"), pytest.raises(LockHeld) as caught, locked(tmp_path / "new folder"):
        pass
    for part in ("acme: Run run-1", "incremental sync", f"process {os.getpid()}", "since 20", "last heartbeat", "Wait"):
        assert part in str(caught.value)
    assert caught.value.retryable


def test_another_thread_of_the_same_process_is_a_second_writer(tmp_path: Path) -> None:
    seen: list[str] = []

    def second() -> None:
        try:
            with locked(tmp_path, "run-2"):
                seen.append("held")
        except LockHeld:
            seen.append("refused")

    with locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    second()
    assert seen == ["refused", "held"]


def test_of_many_that_come_at_once_one_at_a_time_gets_in(tmp_path: Path) -> None:
    inside, most, entered = 0, 0, 0
    guard = threading.Lock()

    def come() -> None:
        nonlocal inside, most, entered
        try:
            with locked(tmp_path, patience=10.0):
                with guard:
                    inside, entered = inside + 1, entered + 1
                    most = max(most, inside)
                with guard:
                    inside -= 1
        except LockHeld:
            pass

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, entered) == (1, 8)


def test_a_lock_is_free_after_an_error_within(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass
    assert holder(tmp_path) is None


def test_integrations_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), locked(tmp_path / "b") as second:
        second.check()


def test_who_holds_the_lock_can_be_asked_without_disturbing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with locked(tmp_path) as lock:
        found = holder(tmp_path)
        assert found is not None
        assert (found.run_id, found.pid, found.alive) == ("run-1", os.getpid(), True)
        lock.check()
    assert holder(tmp_path) is None


def test_a_writer_waits_out_one_who_only_asks(tmp_path: Path) -> None:
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            holder(tmp_path)

    (tmp_path / "lock.json").write_text("{}")
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            with locked(tmp_path, patience=5.0):
                pass
    finally:
        ended.set()
        asking.join()


def test_a_killed_writer_leaves_no_lock_but_its_name(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        with pytest.raises(LockHeld, match=f"run-killed.*process {process.pid}"), locked(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = holder(tmp_path)
        assert left is not None
        assert (left.run_id, left.alive) == ("run-killed", False)
        with locked(tmp_path, "run-2"):
            now = holder(tmp_path)
            assert now is not None
            assert (now.run_id, now.alive) == ("run-2", True)


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    ready, done = os.pipe(), os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    try:
        with locked(tmp_path, "run-2"):
            pass
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *done):
            os.close(descriptor)


def test_heartbeats_are_told_and_written_while_the_lock_is_held(tmp_path: Path) -> None:
    beats: list[Holder] = []
    third = threading.Event()

    def tell(beat: Holder) -> None:
        beats.append(beat)
        if len(beats) == 3:
            third.set()

    with locked(tmp_path, on_heartbeat=tell, heartbeat=0.01):
        assert third.wait(10)
        written = datetime.fromisoformat(json.loads((tmp_path / "lock.json").read_text())["heartbeat_at"])
    assert beats[0].heartbeat_at < beats[1].heartbeat_at < beats[2].heartbeat_at
    assert written >= beats[1].heartbeat_at
    assert len({beat.since for beat in beats}) == 1
    # Whoever told them is gone with the lock.
    assert "lock acme" not in {thread.name for thread in threading.enumerate()}


def test_a_heartbeat_that_cannot_be_told_ends_neither_the_lock_nor_the_next_one(tmp_path: Path) -> None:
    calls: list[int] = []
    second = threading.Event()

    def tell(beat: Holder) -> None:
        calls.append(1)
        if len(calls) == 2:
            second.set()
        raise StateError("The control database is away.")

    with locked(tmp_path, on_heartbeat=tell, heartbeat=0.01) as lock:
        assert second.wait(10)
        lock.check()


def test_a_writer_whose_lock_file_was_replaced_learns_that_it_lost_it(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        (tmp_path / "lock").unlink()
        with pytest.raises(LockLost, match=r"acme: .*replaced while run run-1"):
            lock.check()
        with locked(tmp_path, "run-2") as second:
            second.check()
            with pytest.raises(LockLost):
                lock.check()


@pytest.mark.parametrize("record", ["", "{", "[]", '"text"', '{"run_id": 1}'])
def test_a_damaged_record_keeps_nobody_from_working(tmp_path: Path, record: str) -> None:
    (tmp_path / "lock.json").write_text(record)
    assert holder(tmp_path) is None
    with locked(tmp_path):
        (tmp_path / "lock.json").write_text(record)
        with pytest.raises(LockHeld, match="has not said yet"), locked(tmp_path, "run-2"):
            pass


def test_a_folder_that_cannot_be_locked_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"cannot be locked.*must be writable"), locked(tmp_path / "file" / "x"):
        pass


def test_the_record_names_the_command_without_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cloudsync", "sync", "--url=postgresql://fleet:sesame@host/x"])
    with locked(tmp_path) as lock:
        assert lock.holder.command == "cloudsync sync"
        assert "sesame" not in (tmp_path / "lock.json").read_text()
