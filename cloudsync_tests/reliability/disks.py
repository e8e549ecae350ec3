"""A disk of its own, small enough to be filled: a tmpfs, which takes the right to mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted disk."""

    folder: Path

    def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes free."""
        free = os.statvfs(self.folder)
        with (self.folder / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, free.f_bavail * free.f_frsize - leave)

    def make_room(self) -> None:
        """As before it was filled."""
        (self.folder / "filler").unlink()


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Disk]:
    """A disk of so many MiB at `folder`, which is made. Where nobody may mount: skips the test, and fails it in CI."""
    folder.mkdir()
    # Continuous integration runs as a user who may become root, or in a container that is root.
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    options = f"size={mebibytes}m,uid={os.geteuid()},gid={os.getegid()}"
    try:
        subprocess.run(
            [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        reason = f"A full disk takes the right to mount a tmpfs (in a container: --cap-add SYS_ADMIN): {said}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield Disk(folder)
    finally:
        # Lazily: a process that was killed may not have let go of it yet.
        subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)
