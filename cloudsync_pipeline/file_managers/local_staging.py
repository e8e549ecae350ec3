"""Files that are being written, out of sight, on the file system where they will be placed.

Each process writes into a folder of its own, locked as long as the process lives: what a killed one left
behind is recognised by its free lock and swept away by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from cloudsync_pipeline.core.errors import ContentMismatch
from cloudsync_pipeline.core.records import Piece

_LOCK = "lock"


class Staging:
    """A private folder for unfinished files.

    Args:
        parent: folder of all such folders.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        # Under one lock, so that nobody sweeps a folder away between its creation and its own lock.
        with _locked(parent / _LOCK, fcntl.LOCK_EX):
            _sweep(parent)
            self._folder = parent / uuid.uuid4().hex
            self._folder.mkdir(mode=0o700)
            self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._count = itertools.count()

    def name(self) -> bytes:
        """A name that is free in the folder."""
        return b"%d" % next(self._count)

    def file(self, size: int, *, hashing: bool = True) -> StagedFile:
        """A new file of `size` bytes to come; closing it removes it unless it was placed."""
        return StagedFile(self.fd, self.name(), size, hashing=hashing)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._lock)
        shutil.rmtree(self._folder, ignore_errors=True)


class StagedFile:
    """One unfinished file: written, then sealed, then renamed away by its owner.

    Attributes:
        placed: set by whoever renamed it, so that closing does not look for it.
    """

    def __init__(self, folder: int, name: bytes, size: int, *, hashing: bool) -> None:
        self.name = name
        self.placed = False
        self.written = 0
        self._folder = folder
        self._size = size
        self._md5 = hashlib.md5(usedforsecurity=False) if hashing else None
        self._fd: int | None = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=folder)

    def write(self, data: Piece) -> None:
        """Append.

        Raises:
            ContentMismatch: more bytes than announced.
        """
        if self.written + len(data) > self._size:
            raise ContentMismatch(f"More bytes came than the {self._size} that were announced.")
        fd = self._open()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if self._md5 is not None:
            self._md5.update(data)
        self.written += len(data)

    @property
    def md5(self) -> str | None:
        """Of what was written, in hexadecimal; None where it is not computed."""
        return None if self._md5 is None else self._md5.hexdigest()

    def seal(self) -> os.stat_result:
        """Check the size and close the file; what it is now.

        Raises:
            ContentMismatch: fewer bytes than announced.
        """
        if self.written != self._size:
            raise ContentMismatch(f"{self.written} bytes came, and {self._size} were announced.")
        fd = self._open()
        # The kernel's own clock is coarse: two files written after each other into one inode could look the same.
        now = time.time_ns()
        os.utime(fd, ns=(now, now))
        found = os.fstat(fd)
        self._close_file()
        return found

    def set_mode(self, mode: int) -> None:
        """Give the file permission bits."""
        os.chmod(self.name, mode & 0o777, dir_fd=self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file unless it was placed; a second call does nothing."""
        self._close_file()
        if not self.placed:
            with suppress(FileNotFoundError):
                os.unlink(self.name, dir_fd=self._folder)

    def _open(self) -> int:
        if self._fd is None:
            raise ValueError("the file is closed")
        return self._fd

    def _close_file(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _sweep(parent: Path) -> None:
    for folder in parent.iterdir():
        if not folder.is_dir() or folder.is_symlink():
            continue
        try:
            with _locked(folder / _LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # its process lives


@contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
