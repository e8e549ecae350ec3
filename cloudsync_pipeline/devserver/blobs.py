"""Content on disk: files under opaque ids, so that no path of a client ever becomes a path here."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BUFFER_BYTES = 1024 * 1024
"""Most content of one upload or download that is in memory at once."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content that is whole and on disk; `blob_id` names it."""

    blob_id: str
    size: int
    md5: str


class BlobStore:
    """Blobs below `root`. Content arrives in `tmp/` and is renamed into `blobs/ab/cdef...` when whole.

    Args:
        root: folder; made if it is missing.
        fsync: make a blob durable before it gets its name.
    """

    def __init__(self, root: Path, *, fsync: bool) -> None:
        self._tmp = root / "tmp"
        self._blobs = root / "blobs"
        self._fsync = fsync
        self._tmp.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (self._blobs / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        if fsync:
            for folder in (self._blobs, root):
                _fsync_folder(folder)

    def writer(self) -> BlobWriter:
        blob_id = uuid.uuid4().hex
        return BlobWriter(blob_id, self._tmp / blob_id, self.path(blob_id), fsync=self._fsync)

    def path(self, blob_id: str) -> Path:
        return self._blobs / blob_id[:2] / blob_id[2:]

    def open(self, blob_id: str) -> BinaryIO:
        """Open for reading; an open blob stays readable when it is deleted.

        Raises:
            FileNotFoundError: it has been replaced meanwhile.
        """
        return self.path(blob_id).open("rb")

    def delete(self, blob_id: str) -> None:
        self.path(blob_id).unlink(missing_ok=True)

    def collect(self, known: Callable[[str], set[str]]) -> int:
        """Delete what a killed server left: unfinished uploads, and blobs the index does not name.

        Args:
            known: the blob ids in the index that begin with the given two digits.

        Returns:
            How many files were deleted.
        """
        stray: list[Path] = list(self._tmp.iterdir())
        for folder in self._blobs.iterdir():
            named = known(folder.name)
            stray.extend(path for path in folder.iterdir() if folder.name + path.name not in named)
        for path in stray:
            path.unlink(missing_ok=True)
        return len(stray)


class BlobWriter:
    """One upload on its way to disk.

    `add` only buffers; when `full`, call `flush`, then at the end `finish` or `discard`. These three block,
    so call them in a thread.
    """

    def __init__(self, blob_id: str, tmp: Path, final: Path, *, fsync: bool) -> None:
        self._blob_id = blob_id
        self._tmp = tmp
        self._final = final
        self._fsync = fsync
        self._parts: list[bytes] = []
        self._buffered = 0
        self._file: BinaryIO | None = None
        self._digest = hashlib.md5(usedforsecurity=False)
        self._in_place = False
        self.finished = False
        self.size = 0

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._buffered += len(data)
        self.size += len(data)

    @property
    def full(self) -> bool:
        return self._buffered >= BUFFER_BYTES

    def flush(self) -> None:
        if self._file is None:
            self._file = self._tmp.open("xb", buffering=0)
        data = memoryview(b"".join(self._parts))
        self._parts.clear()
        self._buffered = 0
        self._digest.update(data)
        while data:
            data = data[self._file.write(data) :]

    def finish(self) -> Blob:
        """Make the content whole under its name."""
        self.flush()
        assert self._file is not None  # noqa: S101 - flush opened it
        if self._fsync:
            os.fdatasync(self._file.fileno())
        self._file.close()
        self._tmp.rename(self._final)
        self._in_place = True
        if self._fsync:
            _fsync_folder(self._final.parent)
        self.finished = True
        return Blob(self._blob_id, self.size, self._digest.hexdigest())

    def discard(self) -> None:
        """Remove whatever there is of it."""
        self._parts.clear()
        if self._file is not None:
            self._file.close()
            (self._final if self._in_place else self._tmp).unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def pieces(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """`length` bytes of an open file from byte `start`, in pieces; closes it at the end."""
    with file:
        file.seek(start)
        while length > 0:
            piece = file.read(min(length, BUFFER_BYTES // 4))
            if not piece:
                return
            length -= len(piece)
            yield piece
