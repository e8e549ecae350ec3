"""Notices that source files changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path


class Watch:
    """Looks at the times and sizes of files below a folder.

    Args:
        folder: of the sources.
        ending: of the files that count.
    """

    def __init__(self, folder: Path, ending: str = ".py") -> None:
        self._folder = folder
        self._ending = ending
        self._seen = dict(self._look())

    def changed(self) -> list[Path]:
        """Files that came, went or changed since the last call, by name."""
        now = dict(self._look())
        before, self._seen = self._seen, now
        return sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file))

    def _look(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for file in self._files():
            try:
                found = file.stat()
            except FileNotFoundError:
                continue  # an editor's temporary file
            yield file, (found.st_mtime_ns, found.st_size)

    def _files(self) -> Iterable[Path]:
        return self._folder.rglob(f"*{self._ending}")
