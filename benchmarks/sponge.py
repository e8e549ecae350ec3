"""Soaks up free memory before each measurement, so that all contestants find the machine alike."""

from __future__ import annotations

from pathlib import Path

_BALLOONS = Path("/sys/bus/virtio/drivers/virtio_balloon")
_REPORTING = 5
"""The bit of a balloon's features that says that free memory is reported to the host (VIRTIO_BALLOON_F_REPORTING)."""
_MEMORY = Path("/proc/meminfo")
_LEFT_FREE = 400 * 2**20
_AT_ONCE = 16 * 2**20
_LOOK_EVERY = 64
_AGAIN = 4 * 2**30
"""Bytes read at most after the first time: about what one measurement frees."""


class Sponge:
    """Has the page cache hold what memory is free, as it does on any machine that has run for a while.

    The host of a virtual machine takes free memory back after two seconds, and whoever touches it next waits until it
    is given again: up to 1.5 ms a MiB were measured, six times what writing takes. Who begins to write at once would
    get what was freed just before; who needs two seconds to start, the rest.

    Args:
        holes: a file of holes that is read in a circle, on a file system on disk.
    """

    def __init__(self, holes: Path) -> None:
        self._holes = holes
        self._at = 0
        self._at_most: int | None = None

    def soak(self) -> None:
        """Read until next to nothing is free, or reading frees as much as it takes; nothing where no host takes any."""
        if not any(_reports(features) for features in _BALLOONS.glob("virtio*/features")):
            return
        size = _bytes("MemTotal")
        room = bytearray(_AT_ONCE)
        before = _bytes("MemFree")
        with self._holes.open("ab+", buffering=0) as file:
            file.truncate(size)
            for count in range(1, (self._at_most or size) // _AT_ONCE + 1):
                file.seek(self._at)
                self._at += file.readinto(room) or -self._at
                if count % _LOOK_EVERY == 0:
                    free = _bytes("MemFree")
                    if free < _LEFT_FREE or before - free < _LOOK_EVERY * _AT_ONCE / 4:
                        break
                    before = free
        self._at_most = _AGAIN


def _reports(features: Path) -> bool:
    return features.read_text()[_REPORTING : _REPORTING + 1] == "1"


def _bytes(name: str) -> int:
    """One figure of `/proc/meminfo`."""
    (line,) = [line for line in _MEMORY.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
