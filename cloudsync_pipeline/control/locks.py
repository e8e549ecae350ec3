"""One writer an integration: an OS lock that dies with its process, and among machines a lease besides.

The OS lock is `flock` on `<folder>/lock`, so that nothing is left behind by a kill. The record beside it
(`lock.json`) is for people and for the error that the second writer gets; it decides nothing. Where the control
database is on a server, other machines may write too: then the lease (see `leases`) is taken as well.
"""

from __future__ import annotations

import contextvars
import errno
import fcntl
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from cloudsync_pipeline.control.holders import Holder, already_held
from cloudsync_pipeline.control.leases import Lease, Leases
from cloudsync_pipeline.core.errors import CloudSyncError, LockLost, StateError, StorageFull

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two heartbeats."""
PATIENCE = 0.3
"""Seconds a writer tries for the lock: `holder` takes it for an instant to see whether it is free."""

_UNWRITTEN = ("alive", "free_at")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_held: set[int] = set()
"""Descriptors of held locks, closed in forked children: a child must not keep its dead parent's lock."""


class WriterLock:
    """A held lock, as `writer_lock` gives it."""

    def __init__(self, folder: Path, descriptor: int, holder: Holder, lease: Lease | None) -> None:
        self.holder = holder
        self._folder = folder
        self._file = str(folder / "lock")
        self._descriptor = descriptor
        self._lease = lease

    @property
    def fence(self) -> int | None:
        """A number greater than that of every holder before; None where the OS lock alone decides."""
        return None if self._lease is None else self._lease.fence

    def check(self) -> None:
        """Prove that the lock is still ours; cheap enough for every commit and every call to a file manager.

        Raises:
            LockLost: the lease was taken over or not renewed in time, or the lock file was deleted or replaced, so
                that another writer could have come in.
        """
        if self._lease is not None:
            self._lease.check()
        ours = os.fstat(self._descriptor)
        try:
            there = os.stat(self._file)  # noqa: PTH116 -- a path object takes as long as the look itself
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise LockLost(
                f"The lock file {self._file} was replaced while run {self.holder.run_id} held it.",
                integration=self.holder.integration,
                remedy="The run stops writing. Do not delete lock files: they free themselves.",
            )

    def note(self, holder: Holder) -> None:
        """Write a heartbeat: to the lease first, which depends on it.

        Raises:
            StateError, OSError: it cannot be written.
        """
        if self._lease is not None:
            self._lease.renew()
        _write(self._folder, holder)


@contextmanager
def writer_lock(
    folder: Path,
    *,
    integration: str,
    run_id: str,
    purpose: str,
    leases: Leases | None = None,
    on_heartbeat: Callable[[Holder], None] | None = None,
    heartbeat: float | None = None,
    patience: float = PATIENCE,
) -> Iterator[WriterLock]:
    """Be the only writer of an integration, among processes and threads of this machine and, with leases, of others.

    Args:
        folder: the integration's state folder; created if absent.
        integration, run_id, purpose: told to whoever comes second.
        leases: of a control database that other machines use too.
        on_heartbeat: called at once and then with every heartbeat, in the heartbeat's thread; a CloudSyncError
            that it raises is logged and does not end the heartbeats.
        heartbeat: seconds between heartbeats; `HEARTBEAT` unless told.
        patience: seconds to try before giving up.

    Raises:
        LockHeld: another writer holds it; the message names it.
        StateError: the folder cannot be locked (a file system without locks, no right to write).
    """
    descriptor = _acquire(folder, integration, patience)
    ended = threading.Event()
    try:
        myself = Holder.myself(integration, run_id, purpose)
        lease = None if leases is None else leases.take(myself, _identity(descriptor))
        lock = WriterLock(folder, descriptor, myself, lease)
        beats = threading.Thread(
            # Its log lines are about this run, too.
            target=contextvars.copy_context().run,
            args=(_beat, lock, ended, heartbeat or HEARTBEAT, on_heartbeat),
            name=f"lock {integration}",
            daemon=True,
        )
        _write(folder, myself)
        beats.start()
        try:
            yield lock
        finally:
            ended.set()
            beats.join()
            if lease is not None:
                _release(lease, run_id)
            with suppress(OSError):
                (folder / "lock.json").unlink()
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def holder(folder: Path, integration: str = "", leases: Leases | None = None) -> Holder | None:
    """Who holds the lock of an integration; None where nobody does and nobody was killed holding it.

    Args:
        folder: the integration's state folder.
        integration, leases: where other machines may hold it, too.

    Raises:
        StateError: the leases cannot be asked.
    """
    leased = None if leases is None else leases.holder(integration)
    if leased is not None:
        known, lock_file = leased
        # Of a holder on this machine the OS lock tells at once whether it lives.
        return replace(known, alive=_is_locked(folder)) if lock_file == _identity(folder / "lock") else known
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
            raise already_held(integration, _read(folder)) from error
        except OSError as error:
            _drop(descriptor)
            raise _unusable(folder, integration, error) from error
        else:
            return descriptor


def _drop(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _identity(lock: int | Path) -> str:
    """Names a lock file among all that any machine has: by the kernel that runs there now, and its own numbers."""
    try:
        about = os.fstat(lock) if isinstance(lock, int) else lock.stat()
        return f"{_BOOT.read_text(encoding='ascii').strip()}:{about.st_dev}:{about.st_ino}"
    except FileNotFoundError:
        # No such file, or no Linux: then a holder on this machine is known dead when its lease has expired.
        return f"unknown:{uuid.uuid4().hex}"


def _release(lease: Lease, run_id: str) -> None:
    try:
        lease.release()
    except CloudSyncError as error:
        # What was done is done; a lease that is left behind expires.
        log.warning("The lock of run %s could not be given back, and ends by itself: %s", run_id, error)


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


def _beat(lock: WriterLock, ended: threading.Event, seconds: float, tell: Callable[[Holder], None] | None) -> None:
    holder = lock.holder
    while True:
        if tell is not None:
            _try(tell, holder)
        if ended.wait(seconds):
            return
        holder = replace(holder, heartbeat_at=datetime.now(UTC))
        _try(lock.note, holder)


def _try(call: Callable[[Holder], None], holder: Holder) -> None:
    try:
        call(holder)
    # The lock still holds, and the next heartbeat may get through; a lease that none reaches is noticed by `check`.
    except (CloudSyncError, OSError) as error:
        log.warning("A heartbeat of run %s was lost: %s", holder.run_id, error)


def _write(folder: Path, holder: Holder) -> None:
    record = {
        k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(holder).items() if k not in _UNWRITTEN
    }
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


def _forget_in_child() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
