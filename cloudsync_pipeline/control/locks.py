"""One writer an integration on one machine: an OS lock that dies with its process, and a record of who holds it.

The lock is `flock` on `<folder>/lock`, so that nothing is left behind by a kill. The record beside it
(`lock.json`) is for people and for the error that the second writer gets; it decides nothing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cloudsync_pipeline.core.errors import CloudSyncError, LockHeld, LockLost, StateError, StorageFull

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two heartbeats."""
PATIENCE = 0.3
"""Seconds a writer tries for the lock: `holder` takes it for an instant to see whether it is free."""

_held: set[int] = set()
"""Descriptors of held locks, closed in forked children: a child must not keep its dead parent's lock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or last held, an integration's lock.

    Attributes:
        integration, run_id, purpose: what for; purpose in words ("incremental sync").
        pid, host, command: which process; command without its arguments' values.
        since, heartbeat_at: UTC.
        alive: True while its process holds the OS lock; False for a record left by a killed one.
    """

    integration: str
    run_id: str
    purpose: str
    pid: int
    host: str
    command: str
    since: datetime
    heartbeat_at: datetime
    alive: bool = True


class WriterLock:
    """A held lock, as `writer_lock` gives it."""

    def __init__(self, folder: Path, descriptor: int, holder: Holder) -> None:
        self.holder = holder
        self._folder = folder
        self._descriptor = descriptor

    def check(self) -> None:
        """Prove that the lock is still ours; cheap enough for every commit.

        Raises:
            LockLost: the lock file was deleted or replaced, so that another writer could have come in.
        """
        ours = os.fstat(self._descriptor)
        try:
            there = (self._folder / "lock").stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise LockLost(
                f"The lock file {self._folder / 'lock'} was replaced while run {self.holder.run_id} held it.",
                integration=self.holder.integration,
                remedy="The run stops writing. Do not delete lock files: they free themselves.",
            )


@contextmanager
def writer_lock(
    folder: Path,
    *,
    integration: str,
    run_id: str,
    purpose: str,
    on_heartbeat: Callable[[Holder], None] | None = None,
    heartbeat: float = HEARTBEAT,
    patience: float = PATIENCE,
) -> Iterator[WriterLock]:
    """Be the only writer of an integration, among processes and threads of this machine.

    Args:
        folder: the integration's state folder; created if absent.
        integration, run_id, purpose: told to whoever comes second.
        on_heartbeat: called at once and then with every heartbeat, in the heartbeat's thread; a CloudSyncError
            that it raises is logged and does not end the heartbeats.
        heartbeat: seconds between heartbeats.
        patience: seconds to try before giving up.

    Raises:
        LockHeld: another writer holds it; the message names it.
        StateError: the folder cannot be locked (a file system without locks, no right to write).
    """
    descriptor = _acquire(folder, integration, patience)
    now = datetime.now(UTC)
    lock = WriterLock(
        folder,
        descriptor,
        Holder(integration, run_id, purpose, os.getpid(), socket.gethostname(), _command(), now, now),
    )
    ended = threading.Event()
    beats = threading.Thread(
        target=_beat,
        args=(folder, lock.holder, ended, heartbeat, on_heartbeat),
        name=f"lock {integration}",
        daemon=True,
    )
    try:
        _write(folder, lock.holder)
        beats.start()
        yield lock
    finally:
        ended.set()
        if beats.ident is not None:
            beats.join()
        with suppress(OSError):
            (folder / "lock.json").unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def holder(folder: Path) -> Holder | None:
    """Who holds the lock of an integration; None where nobody does and nobody was killed holding it.

    Args:
        folder: the integration's state folder.
    """
    record = _read(folder)
    if record is None:
        return None
    return replace(record, alive=_is_locked(folder))


def _acquire(folder: Path, integration: str, patience: float) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unusable(folder, integration, error) from error
    _held.add(descriptor)
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < until:
                time.sleep(0.02)
                continue
            _drop(descriptor)
            raise _already_held(folder, integration) from error
        except OSError as error:
            _drop(descriptor)
            raise _unusable(folder, integration, error) from error
        else:
            return descriptor


def _drop(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _already_held(folder: Path, integration: str) -> LockHeld:
    other = _read(folder)
    if other is None:
        who = "Another writer holds the integration, and has not said yet who it is."
    else:
        who = (
            f"Run {other.run_id} ({other.purpose}; process {other.pid} on {other.host}, {other.command}) holds the "
            f"integration since {other.since:%Y-%m-%d %H:%M:%S} UTC; last heartbeat {other.heartbeat_at:%H:%M:%S} UTC."
        )
    return LockHeld(who, integration=integration, remedy="Wait until it has finished, or end that process.")


def _unusable(folder: Path, integration: str, error: OSError) -> StateError | StorageFull:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(
            f"No room for a lock in {folder}: {reason}.", integration=integration, remedy="Free some space there."
        )
    return StateError(
        f"The folder {folder} cannot be locked: {reason}.",
        integration=integration,
        remedy="The state folder must be writable, and on a file system with locks (a local disk).",
    )


def _beat(
    folder: Path,
    holder: Holder,
    ended: threading.Event,
    seconds: float,
    tell: Callable[[Holder], None] | None,
) -> None:
    while True:
        if tell is not None:
            try:
                tell(holder)
            # The OS lock still holds, and the next heartbeat may get through.
            except CloudSyncError as error:
                log.warning("The heartbeat of run %s could not be told: %s", holder.run_id, error)
        if ended.wait(seconds):
            return
        holder = replace(holder, heartbeat_at=datetime.now(UTC))
        try:
            _write(folder, holder)
        except OSError as error:
            log.warning("The heartbeat of run %s could not be written: %s", holder.run_id, error)


def _write(folder: Path, holder: Holder) -> None:
    record = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(holder).items() if k != "alive"}
    new = folder / "lock.json.new"
    new.write_text(json.dumps(record), encoding="utf-8")
    new.replace(folder / "lock.json")


def _read(folder: Path) -> Holder | None:
    try:
        record = json.loads((folder / "lock.json").read_text(encoding="utf-8"))
        times = {name: datetime.fromisoformat(record[name]) for name in ("since", "heartbeat_at")}
        return Holder(**{**record, **times})
    # A record cut short by a full disk tells nothing, and must not keep anybody from working.
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_locked(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(descriptor)


def _command() -> str:
    # Arguments can carry secrets (a URL with a password): the program and its first plain word are enough.
    words = [Path(sys.argv[0]).name or "python", *(a for a in sys.argv[1:2] if a.isidentifier())]
    return " ".join(words)


def _forget_in_child() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
