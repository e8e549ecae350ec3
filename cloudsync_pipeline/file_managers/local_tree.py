"""Files below one folder, reached name by name, so that no symbolic link ever leads outside.

Every call opens each folder of a path relative to its parent with O_NOFOLLOW (`openat(2)`). Nothing is
cached between calls: a folder that somebody renames meanwhile must not receive files meant for its old path.
All functions block; names are bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudsync_pipeline.core import keys
from cloudsync_pipeline.core.errors import PathRejected, Unavailable
from cloudsync_pipeline.file_managers.local_names import Folding
from cloudsync_pipeline.file_managers.paths import Parts

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_RACES = 16
"""How often a path is tried again when its folders vanish meanwhile (a neighbour's delete prunes them)."""
_OPEN_FOLDERS = 32
"""Folders held open by one walk; deeper ones are read whole, so that descriptors stay bounded."""


class Tree:
    """See the module's docstring.

    Args:
        root: descriptor of the folder; stays the caller's to close.
        reserved: a folder below it that is ours and not the customer's.
        folding: what the file system ignores in names.
    """

    def __init__(self, root: int, reserved: Parts | None = None, folding: Folding | None = None) -> None:
        self._root = root
        self._folding = folding or Folding()
        self._reserved = reserved

    def refuse_reserved(self, parts: Parts) -> None:
        """Raises PathRejected for paths in the folder that this program keeps its own state in."""
        if self._is_reserved(parts):
            raise PathRejected(
                "The path lies in the folder where this file manager keeps its own state.",
                key=_text(parts),
                remedy="Keep the state elsewhere (state_dir), or exclude the object from the sync.",
            )

    def find(self, parts: Parts) -> os.stat_result | None:
        """What stands at a path if that is a regular file, else None."""
        if self._is_reserved(parts):
            return None
        try:
            with self.folder(parts[:-1]) as fd:
                self._spelled(fd, parts[-1])
                return _regular(fd, parts[-1])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, parts: Parts, flags: int = os.O_RDONLY) -> int:
        """Open a regular file; FileNotFoundError where none stands."""
        if self.find(parts) is None:
            raise FileNotFoundError(_text(parts))
        with self.folder(parts[:-1]) as fd:
            # O_NONBLOCK: a pipe put there since the look above would block the thread for ever.
            opened = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise FileNotFoundError(_text(parts))
        return opened

    def chmod(self, parts: Parts, mode: int) -> None:
        """Set a file's permission bits; works on files that are not readable, never through a link."""
        path_only = getattr(os, "O_PATH", None)
        fd = self.open(parts, os.O_RDONLY if path_only is None else path_only)
        try:
            if path_only is None:
                os.fchmod(fd, mode)
            else:
                Path(f"/proc/self/fd/{fd}").chmod(mode)
        finally:
            os.close(fd)

    def place(
        self,
        source_fd: int,
        source: bytes,
        parts: Parts,
        *,
        replacing: Callable[[os.stat_result], None] = lambda _: None,
    ) -> None:
        """Rename a file from another folder of the same file system to `parts`, making its folders.

        Args:
            replacing: called with the file that stands there, if one does, just before it is replaced.

        Raises:
            PathRejected: a file stands where a folder is needed, or the other way round, or another spelling.
        """
        self.refuse_reserved(parts)
        for _ in range(_RACES):
            try:
                with self.folder(parts[:-1], create=True) as fd:
                    self._spelled(fd, parts[-1], strict=True)
                    before = _regular(fd, parts[-1])
                    if before is not None:
                        replacing(before)
                    os.rename(source, parts[-1], src_dir_fd=source_fd, dst_dir_fd=fd)
                    return
            except FileNotFoundError:
                os.stat(source, dir_fd=source_fd, follow_symlinks=False)  # the source itself must be there
            except IsADirectoryError as error:
                if not self._clear(parts):
                    raise PathRejected(
                        "The path is a folder that holds other files.",
                        key=_text(parts),
                        remedy="A file and a folder cannot share a name here: rename one of the objects.",
                    ) from error
        raise Unavailable("The folders of this path keep changing.", key=_text(parts), remedy="Try again later.")

    def move(self, parts: Parts, new_parts: Parts, parking_fd: int, parking: bytes) -> None:
        """Rename a file, replacing what stands at `new_parts`; FileNotFoundError where none stands at `parts`.

        Args:
            parking_fd, parking: a free name in a folder of the same file system, used where one path is
                the folder of the other and must vanish before the other can be.
        """
        self.refuse_reserved(new_parts)
        if self.find(parts) is None:
            raise FileNotFoundError(_text(parts))
        if parts == new_parts:
            return
        nested = parts[: len(new_parts)] == new_parts or new_parts[: len(parts)] == parts
        # Where `A` and `a` are one name, a rename of one to the other needs the first to be gone, too.
        if not nested and not self._folding:
            with self.folder(parts[:-1]) as fd:
                self.place(fd, parts[-1], new_parts)
            self.prune(parts)
            return
        with self.folder(parts[:-1]) as fd:
            os.rename(parts[-1], parking, src_dir_fd=fd, dst_dir_fd=parking_fd)
        self.prune(parts)
        try:
            self.place(parking_fd, parking, new_parts)
        except BaseException:
            self.place(parking_fd, parking, parts)
            raise

    def remove(self, parts: Parts) -> None:
        """Delete a file and the folders it leaves empty; FileNotFoundError where none stands."""
        if self.find(parts) is None:
            raise FileNotFoundError(_text(parts))
        with self.folder(parts[:-1]) as fd:
            os.unlink(parts[-1], dir_fd=fd)
        self.prune(parts)

    def prune(self, parts: Parts) -> None:
        """Remove the folders of a path that are empty, innermost first."""
        for depth in range(len(parts) - 1, 0, -1):
            try:
                with self.folder(parts[: depth - 1]) as fd:
                    os.rmdir(parts[depth - 1], dir_fd=fd)
            except OSError:
                return  # in use, or gone: either is fine, a folder is not content

    def walk(self) -> Iterator[tuple[Parts, os.stat_result]]:
        """Every regular file, depth first, in the file system's order; memory is bounded by depth.

        Raises:
            OSError: a folder cannot be read; a walk never ends early as if it were complete.
        """
        trail: list[tuple[Parts, Iterator[tuple[bytes, os.stat_result]]]] = [((), self._entries((), False))]
        while trail:
            parts, entries = trail[-1]
            try:
                entry = next(entries, None)
            except (FileNotFoundError, NotADirectoryError):
                entry = None  # the folder vanished since it was seen
            if entry is None:
                trail.pop()
                continue
            here = (*parts, entry[0])
            if stat.S_ISDIR(entry[1].st_mode):
                if not self._is_reserved(here):
                    trail.append((here, self._entries(here, len(trail) >= _OPEN_FOLDERS)))
            elif stat.S_ISREG(entry[1].st_mode):
                yield here, entry[1]

    def _entries(self, parts: Parts, whole: bool) -> Iterator[tuple[bytes, os.stat_result]]:
        with self.folder(parts) as fd, _scan(fd) as found:
            looked = _look(fd, found)
            if not whole:
                yield from looked
                return
            rows = list(looked)
        yield from rows

    @contextmanager
    def folder(self, parts: Parts, create: bool = False) -> Iterator[int]:
        """A descriptor of a folder; do not close it, and do not use it after the end.

        Raises:
            FileNotFoundError, NotADirectoryError: it is not there, or a file or link is, and `create` is False.
            PathRejected: a file, link or other spelling stands in the way, and `create` is True.
        """
        fd = self._root
        try:
            for depth, name in enumerate(parts, 1):
                self._spelled(fd, name, strict=create)
                try:
                    inner = _enter(fd, name, create)
                except NotADirectoryError as error:
                    if not create:
                        raise
                    raise PathRejected(
                        f"{_text(parts[:depth])!r} is a file or a link, so nothing can stand below it.",
                        key=_text(parts),
                        remedy="A file and a folder cannot share a name here: rename one of the objects.",
                    ) from error
                if fd != self._root:
                    os.close(fd)
                fd = inner
            yield fd
        finally:
            if fd != self._root:
                os.close(fd)

    def _spelled(self, fd: int, name: bytes, *, strict: bool = False) -> None:
        """Refuse a name that the file system would take for another one that is there."""
        if not self._folding:
            return
        folded = self._folding.fold(name)
        with _scan(fd) as entries:
            others = [os.fsencode(entry.name) for entry in entries]
        for other in others:
            if other != name and self._folding.fold(other) == folded:
                if not strict:
                    raise FileNotFoundError(_text((name,)))
                raise PathRejected(
                    f"{_text((name,))!r} and {_text((other,))!r} are one name to this file system.",
                    remedy="Rename one of the objects.",
                )

    def _clear(self, parts: Parts) -> bool:
        """Remove a folder that holds nothing but empty folders; False where it holds anything."""
        trail = [parts]
        try:
            while trail:
                with self.folder(trail[-1]) as fd, _scan(fd) as entries:
                    first = next(entries, None)
                    if first is not None and not first.is_dir(follow_symlinks=False):
                        return False
                if first is not None:
                    trail.append((*trail[-1], os.fsencode(first.name)))
                    continue
                gone = trail.pop()
                with self.folder(gone[:-1]) as fd:
                    os.rmdir(gone[-1], dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):
            return True  # somebody else cleared it, or a file stands there now: placing tells
        except OSError:
            return False
        return True

    def _is_reserved(self, parts: Parts) -> bool:
        if self._reserved is None:
            return False
        fold = self._folding.fold
        return tuple(map(fold, parts[: len(self._reserved)])) == tuple(map(fold, self._reserved))


def _enter(fd: int, name: bytes, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=fd)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=fd)
    return os.open(name, _FOLDER, dir_fd=fd)


@contextmanager
def _scan(fd: int) -> Iterator[Iterator[os.DirEntry[str]]]:
    # Opened anew: the position of a listing belongs to the open file, and the root's is shared by all.
    own = os.open(".", _FOLDER, dir_fd=fd)
    try:
        with os.scandir(own) as entries:
            yield entries
    finally:
        os.close(own)


def _regular(fd: int, name: bytes) -> os.stat_result | None:
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _look(fd: int, entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[bytes, os.stat_result]]:
    for entry in entries:
        name = os.fsencode(entry.name)
        try:
            yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _text(parts: Parts) -> str:
    return keys.escape_bytes(b"/".join(parts))
